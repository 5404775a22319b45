"""A call that is not submitted yet: a task, some of its arguments, and options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nbtasks.client.border import at_border
from nbtasks.client.definition import Definition
from nbtasks.core.brief import brief
from nbtasks.core.errors import ConfigError
from nbtasks.core.keywords import CallKeywords, meanings
from nbtasks.core.plan import CallRange

from .compiling import NOTHING_GIVEN, Builder, Compiled, Given, Kind, Left, compiled_by
from .taskpaths import path_of, task_named

if TYPE_CHECKING:
    from typing_extensions import Self

#: Joins two with ``|``: set by algebra.py, which knows all kinds.
join: list[Callable[[Any, Any], Any]] = []
_LINKS = ("link", "link_error")


class Signature:
    """A task with some of its arguments and options. ``s(x)`` runs it here, ``s.delay(x)`` submits it.

    Arguments that come later go before those that it has. An immutable one takes none.

    Args:
        task: what it runs, or the name of a task of a module that can be imported.
        args: its positional arguments.
        kwargs: its keyword arguments.
        options: those of ``apply_async``.
        immutable: whether it leaves out what others hand on to it.
    """

    __slots__ = ("args", "immutable", "kwargs", "options", "type")

    #: What Celery calls it in a dict; empty for a plain one.
    subtask_type: ClassVar[str] = ""
    #: All of them by that name.
    kinds: ClassVar[dict[str, type[Signature]]] = {}
    # It changes, as in Celery.
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        task: Definition | str,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        immutable: bool = False,
    ) -> None:
        self.type = task_named(task) if isinstance(task, str) else checked_task(task)
        self.args: tuple[Any, ...] = tuple(args or ())
        self.kwargs: dict[str, Any] = dict(kwargs or {})
        self.options: dict[str, Any] = {}
        self.immutable = immutable
        if options:
            self.set(**options)

    def __init_subclass__(cls) -> None:
        if "subtask_type" in vars(cls):
            cls.kinds[cls.subtask_type] = cls

    # -- what it is

    @property
    def task(self) -> str:
        """The name under which the task is found again."""
        return path_of(self.type)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.type.name

    def __repr__(self) -> str:
        return self.reprcall()

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """Return it as text, with more arguments."""
        given = self._arguments(args, kwargs)
        said = [*map(brief, given[0]), *(f"{name}={brief(value)}" for name, value in given[1].items())]
        return f"{self.type.name}({', '.join(said)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._parts() == self._parts()

    def _parts(self) -> tuple[Any, ...]:
        return self.type, self.args, self.kwargs, self.options, self.immutable

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (type(self), *self._parts())

    # -- as a dict, for those who store it

    def keys(self) -> list[str]:
        """Return the keys of its dict: ``dict(signature)`` can be written as JSON if its arguments can."""
        return ["task", "args", "kwargs", "options", "subtask_type", "immutable"]

    def __getitem__(self, key: str) -> Any:
        made: dict[str, Callable[[], Any]] = {
            "task": lambda: self.task,
            "args": lambda: list(self.args),
            "kwargs": lambda: dict(self.kwargs),
            "options": self._stored_options,
            "subtask_type": lambda: self.subtask_type or None,
            "immutable": lambda: self.immutable,
        }
        return made[key]()

    def _stored_options(self) -> dict[str, Any]:
        links = {name: [dict(one) for one in self.options[name]] for name in _LINKS if name in self.options}
        return {**self.options, **links}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Return what ``dict(signature)`` gave, also after a way through JSON.

        Raises:
            ConfigError: it is no such dict, or its task is not there.
        """
        named = data.get("subtask_type") or ""
        kind = (cls.kinds.get(named) if named else Signature) if "task" in data else None
        if kind is None:
            raise ConfigError(
                f"{brief(data)} is not a signature's dict, as dict(task.s(...)) gives it: it has no "
                + ("known subtask_type" if "task" in data else "task")
            )
        made = kind._stored(data)
        options = dict(data.get("options") or {})
        links = {name: [signature(one) for one in listed(options.pop(name, None))] for name in _LINKS}
        made.options.update(options)
        made.options.update({name: many for name, many in links.items() if many})
        return made

    @classmethod
    def _stored(cls, data: Mapping[str, Any]) -> Signature:
        return Signature(
            data["task"], data.get("args"), data.get("kwargs"), immutable=bool(data.get("immutable"))
        )

    # -- changed, and as another one

    def clone(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Self:
        """Return a copy, with more arguments before its own ones, and options over its own."""
        made = type(self).__new__(type(self))
        made.type, made.immutable = self.type, self.immutable
        made.args, made.kwargs = self._arguments(args, kwargs)
        made.options = {
            name: list(value) if name in _LINKS else value for name, value in self.options.items()
        }
        return made.set(**options)

    def replace(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a copy with other arguments or options in the place of its own ones."""
        made = self.clone()
        made.args = self.args if args is None else tuple(args)
        made.kwargs = dict(self.kwargs if kwargs is None else kwargs)
        if options is not None:
            made.options = {}
            made.set(**options)
        return made

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Set options, those of ``apply_async``; returns the signature itself.

        Raises:
            ConfigError: an unknown option.
        """
        if immutable is not None:
            self.set_immutable(immutable)
        check_options(self, options)
        links = {name: listed(options.pop(name)) for name in _LINKS if name in options}
        for name, many in links.items():
            self.options.pop(name, None)
            for one in many:
                (self.link if name == "link" else self.link_error)(one)
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Have it leave out what others hand on to it, or take that."""
        self.immutable = immutable

    def link(self, callback: Any) -> Any:
        """Have another one run with its value when it has succeeded; returns that one, as in Celery."""
        self._link("link", element(callback, "link"))
        return callback

    def link_error(self, errback: Any) -> Any:
        """Have another one run when it has failed or was revoked; returns that one, as in Celery.

        It is told of the failed call as in Celery: a function of three parameters gets ``(request, exc, traceback)``,
        others the id; an immutable one nothing.
        """
        self._link("link_error", element(errback, "link_error"))
        return errback

    def on_error(self, errback: Any) -> Self:
        """Do the same, and return the signature itself."""
        self.link_error(errback)
        return self

    def _link(self, name: str, other: Signature) -> None:
        many = self.options.setdefault(name, [])
        if other not in many:
            many.append(other)

    def flatten_links(self) -> list[Signature]:
        """Return it with all that are linked to it, and to these."""
        return [self, *(more for one in self.options.get("link", ()) for more in one.flatten_links())]

    def __or__(self, other: Any) -> Any:
        return join[0](self, other)

    def _arguments(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self.immutable:
            return self.args, self.kwargs
        return (*(args or ()), *self.args), {**self.kwargs, **(kwargs or {})}

    # -- run and submitted

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here, now."""
        given = self._arguments(args, kwargs)
        return self.type(*given[0], **given[1])

    @at_border
    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Submit it, with more arguments before its own ones."""
        return submitted(self.compiled(Given(args, kwargs)))

    @at_border
    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Submit it, with more arguments before its own ones, and options over its own.

        Returns:
            the handle of what comes last: an AsyncResult; a GroupResult where that is a group.

        Raises:
            TypeError: the arguments do not fit the function.
            NotPicklable: an argument, or something that the function captures, cannot travel.
            ConfigError: an unknown option or a bad value; or what belongs together has been put together wrongly.
            BrokerUnavailable: the broker cannot be reached; nothing was submitted.
        """
        one, given = self._with(args, kwargs, options)
        return submitted(one.compiled(given))

    @at_border
    def apply(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Run it here, by the way that workers do it; returns what is like a handle, and over."""
        one, given = self._with(args, kwargs, options)
        from .rehearsal import run_here

        return run_here(one.compiled(given))

    def _with(self, args: Any, kwargs: Any, options: dict[str, Any]) -> tuple[Signature, Given]:
        check_options(self, options)
        links = {name: listed(options.pop(name)) for name in _LINKS if name in options}
        one = self.clone() if links else self
        for callback in links.get("link", ()):
            one.link(callback)
        for errback in links.get("link_error", ()):
            one.link_error(errback)
        return one, Given(tuple(args or ()), dict(kwargs or {}), options)

    @at_border
    def __invert__(self) -> Any:
        """Submit it and return its value: ``~add.s(2, 2)``."""
        return self.delay().get()

    # -- compiled

    def compiled(self, given: Given = NOTHING_GIVEN) -> Compiled:
        """Return it as a plan, with what each node of that runs.

        Raises:
            ConfigError: it has too many steps, contains itself, or something is missing.
        """
        return compiled_by(lambda builder: self.emit(builder, None, given))

    @property
    def steps(self) -> tuple[Signature, ...]:
        """What runs one after the other; nothing where there is more to it."""
        return (self,)

    @property
    def is_plain(self) -> bool:
        """Whether it is a call and nothing else, so that it may be one of a batch."""
        return type(self) is Signature and not any(name in self.options for name in _LINKS)

    @property
    def kind(self) -> Kind:
        """What it has in common with others that may be in one batch with it."""
        own = {name: value for name, value in self.options.items() if name not in _LINKS}
        return Kind(self.type, own, self.immutable)

    def emit(self, builder: Builder, before: Left | None, given: Given) -> Left:
        """Add its call, and what is linked to it, to a plan."""
        place = builder.calls(self.kind, [(self.args, self.kwargs)], before, given)
        return self.emit_links(builder, Left((CallRange(place),)), [CallRange(place)], given)

    def emit_errback(self, builder: Builder, watched: Iterable[CallRange]) -> Left:
        """Add its call to a plan as one that runs only if one of others does not succeed, and what is linked to it."""
        own = CallRange(builder.errback(self.kind, (self.args, self.kwargs), watched))
        return self.emit_links(builder, Left((own,)), [own], NOTHING_GIVEN)

    def emit_links(self, builder: Builder, left: Left, watched: Iterable[CallRange], given: Given) -> Left:
        """Add what is linked to it; returns ``left``.

        Args:
            builder: has the nodes so far.
            left: what callbacks get.
            watched: the calls whose failure errbacks are told.
            given: what was said at the submit.
        """
        watched = list(watched)
        with builder.aside():
            for callback in self.options.get("link", ()):
                callback.emit(builder, left, NOTHING_GIVEN)
            for errback in self.options.get("link_error", ()) if watched else ():
                errback.emit_errback(builder, watched)
        return left


def submitted(compiled: Compiled) -> Any:
    """Submit a workflow; returns the handle of its result."""
    from .workflow import submit

    return submit(compiled)


def rebuilt(
    kind: type[Signature],
    task: Definition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
    immutable: bool,
) -> Signature:
    """Return a pickled signature; named in pickles, so it keeps its name and place."""
    made = kind.__new__(kind)
    made.type, made.args, made.kwargs, made.options, made.immutable = task, args, kwargs, options, immutable
    return made


def signature(varies: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
    """Return a signature of what stands for one.

    Args:
        varies: a task, the name of one (``package.module.function``), a signature's dict, or a signature (a copy).
        args: positional arguments.
        kwargs: keyword arguments.
        options: ``options``, ``immutable``, and those of ``apply_async``.

    Raises:
        ConfigError: it is nothing of these, or there is no such task.
    """
    if isinstance(varies, Signature):
        return varies.clone(args or (), kwargs, **options)
    if isinstance(varies, Mapping):
        made = Signature.from_dict(varies)
        return made.clone(args or (), kwargs, **options) if args or kwargs or options else made
    own = dict(options.pop("options", None) or {})
    immutable = bool(options.pop("immutable", False))
    return Signature(varies, args, kwargs, {**own, **options}, immutable)


subtask = signature


def maybe_signature(varies: Any) -> Any:
    """Return a signature as it is, one of a dict, and None for None; as in Celery."""
    return varies if varies is None or isinstance(varies, Signature) else signature(varies)


def element(what: Any, whose: str) -> Signature:
    """Return a part of a composition; ``whose`` says of what.

    Raises:
        TypeError: it cannot be one.
    """
    if isinstance(what, Signature):
        return what
    if isinstance(what, Mapping):
        return Signature.from_dict(what)
    if isinstance(what, Definition):
        short = what.name.rpartition(".")[2]
        raise TypeError(f"{whose}: {what.name} is a task; say {short}.s(...), which is a call of it")
    if hasattr(what, "ready") and hasattr(what, "get"):
        raise TypeError(
            f"{whose}: {what!r:.80} is submitted already; a composition is made of task.s(...), and submitted as a "
            "whole"
        )
    if callable(what):
        name = getattr(what, "__name__", repr(what))
        raise TypeError(f"{whose}: {name} is no task; put @nbtasks.task above it, and say {name}.s(...)")
    if isinstance(what, (list, tuple)) and any(isinstance(one, Signature) for one in what):
        raise TypeError(
            f"{whose}: a {type(what).__name__} of calls is no call: group([...]) has them run beside each other, and "
            "chain(*[...]) one after the other"
        )
    raise TypeError(f"{whose}: {brief(what)} is not a call of a task; say task.s({brief(what)})")


def listed(value: Any) -> list[Any]:
    """Return one or many as a list; none for None."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def check_options(one: Signature, options: Mapping[str, Any]) -> None:
    """Check the names of options.

    Raises:
        ConfigError: one is unknown.
    """
    known = {*meanings(CallKeywords), *_LINKS}
    for name in options.keys() - known:
        raise ConfigError(f"{one!r}: unknown option {name!r}; known are {', '.join(sorted(known))}")


def checked_task(task: Any) -> Definition:
    """Return a task as it is.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(task, Definition):
        element(task, "signature")
    return task  # type: ignore[no-any-return]


def members(signatures: Iterable[Any]) -> Iterator[Signature]:
    """Yield the parts of a group, each checked."""
    for one in signatures:
        yield one if type(one) is Signature else element(one, "group")
