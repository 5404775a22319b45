"""A task: a function plus options. ``f(x)`` runs here, ``f.delay(x)`` runs there."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from nbtasks.core.errors import ConfigError, NotPicklable
from nbtasks.core.keywords import CallKeywords, MapKeywords, documented
from nbtasks.core.options import TaskOptions
from nbtasks.core.taskbody import TaskBody
from nbtasks.core.typevars import P, R
from nbtasks.wire import pickling

from . import current, home, lateparts, ownclass
from .border import LEAVES_A_FRAME, at_border, shortened
from .definition import Definition
from .group import GroupResult
from .home import Home
from .result import AsyncResult
from .settled import settled
from .submitting.dispatch import MapOptions, check_options
from .submitting.withhandles import submit_call, submit_map
from .taskhooks import TaskHooks

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from nbtasks.core.keywords import GroupKeywords, TaskKeywords

    from .canvas.sequence import chunks
    from .canvas.signature import Signature
    from .eager import EagerResult

#: What has its items before they are asked for.
_THERE = (list, tuple, range, set, frozenset, dict, str, bytes)
#: What gives no order to arguments, and would give its keys for them.
_WITHOUT_ORDER = (Mapping, set, frozenset)
#: Options of a map as a whole, and what they are where none is given.
_OF_CALLS = {"countdown": None, "eta": None, "rerun": False, "again": False, "label": None}
_OF_MAPS = {"chunk": None, "max_parallel": None, "on_error": "raise", "quiet": False, "label": None}

#: Options, which tasks have as attributes, too.
_OPTIONS = TaskOptions.defaults().keys() & vars(TaskOptions()).keys()
#: Attributes that every task has; what else an instance of a user's class has travels with it.
_OF_EACH = frozenset(
    {"_app", "_fitting", "_given", "_owner", "_settled", "_signature", "function", "modules", "own_options",
     "plain_options", "run", "shipped", "__wrapped__", *functools.WRAPPER_ASSIGNMENTS}
)  # fmt: skip


class Task(TaskHooks, Generic[P, R]):
    """A function plus options, and perhaps an App of its own.

    In a worker it submits to the broker that the worker runs for if it has none of its own, or if it came through its
    own; else to its own, or not at all.

    For type checkers ``Task[P, R]``: what its calls take, and what they return (of an ``async def``: when awaited).
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make an instance of a class of the user's a task, whatever its ``__init__`` does and takes."""
        made = super().__new__(cls)
        if cls is not Task:
            made.begin(ownclass.options_of(cls))
        return made

    def __init__(
        self,
        function: Callable[..., Any] | None = None,
        options: TaskOptions | None = None,
        app: current.Provider | Home | None = None,
    ) -> None:
        if function is None:
            if "run" not in vars(self):
                ownclass.check_class(type(self), Task)
        elif type(self) is Task:
            super().__init__(function, options)
            self._app = app
        else:
            self.begin(options or self.own_options, function, app=app)

    def begin(
        self,
        options: TaskOptions,
        function: Callable[..., Any] | None = None,
        binds: bool = False,
        app: current.Provider | Home | None = None,
    ) -> None:
        """Begin as a task of a class of the user's.

        Args:
            function: in the place of the class's ``run()``.
            binds: it takes the task as its first argument.
        """
        self._app = app
        self._given = (function, binds)
        if function is not None:
            self.__dict__["run"] = MethodType(function, self) if binds else function
        self._define(TaskBody(self, function or type(self)), options)

    @property
    def written(self) -> Callable[..., Any]:
        """What calls run, as the user has written it; without the task, which is no argument of calls."""
        return self.run if type(self.function) is TaskBody else self.function

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run what a call runs, here. A class that is derived from this one says here what its tasks do."""
        return Definition.__call__(self, *args, **kwargs)

    def parts(self) -> tuple[Any, ...]:
        """Return what a task of a class travels as; :meth:`rebuild` takes all but the class."""
        own = {name: value for name, value in vars(self).items() if name not in _OF_EACH}
        return type(self), self.options, *self._given, own

    def rebuild(
        self, options: TaskOptions, function: Callable[..., Any] | None, binds: bool, own: dict[str, Any]
    ) -> TaskBody:
        """Begin as a task that has travelled; returns what its calls run."""
        self.begin(options, function, binds)
        vars(self).update(own)
        assert isinstance(self.function, TaskBody)
        return self.function

    def at(self, app: current.Provider | Home | None, options: TaskOptions | None = None) -> Self:
        """Return the same task at an App, perhaps with other options."""
        if type(self.function) is not TaskBody:
            made = type(self)(self.function, options or self.own_options, app)
            made._owner = self._owner
            return made
        kind, _, *rest = self.parts()
        own_options = self.own_options
        made = object.__new__(kind)
        made.rebuild(options or own_options, *rest)
        if options is not None:
            made._name = None
            vars(made).update(ownclass.changed(kind, own_options, options))
        made._app = app
        return made

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        goes_to = home.destination()
        own = self._home(goes_to)
        parts = (self.function, self.options, *((own,) if own is not None and own != goes_to else ()))
        if goes_to is None and self._is_a_global():
            # Another library takes it to another process. Where the module is there, so is the task, with its App.
            return found_or_rebuilt, (self.function.__module__, self.function.__qualname__, _by_value(parts))
        return current.rebuild[0], parts

    def _is_a_global(self) -> bool:
        """Whether its module has it under the name of its function."""
        module, name = getattr(self.function, "__module__", ""), getattr(self.function, "__qualname__", "")
        return _found(module, name) is self

    def _home(self, goes_to: Home | None) -> Home | None:
        """Return where it submits to, None where it leaves that to those who have it."""
        if isinstance(self._app, Home):
            return current.passed_on(goes_to, self._app)
        if self._app is not None:
            if not self._app.usable:
                return self._app.known_home or Home.nowhere(self._app.name)
            return current.with_way_from(goes_to, self._app)
        return current.home_of_newest() if goes_to in {None, home.ANYWHERE} else None

    @property
    def options(self) -> TaskOptions:
        """How it runs: as was said where it was made, with what the settings of its App say."""
        return settled(self)

    @property
    def app(self) -> current.Provider:
        """The App that calls are submitted through: its own, else the current one.

        Raises:
            ConfigError: its own is closed, or is not there in this process.
        """
        app = self._app
        if app is None:
            return current.current()
        if isinstance(app, Home):
            return current.at(app, self.name)
        if not app.usable:
            raise ConfigError(
                f"task {self.name!r} is bound to App {app.name!r}, which is closed. Bind it to one that is open, "
                "app.task(function), or to none, nbtasks.task(function): its calls go through the current one then"
            )
        return app

    def bind_to(self, app: current.Provider) -> None:
        """Have its calls go through an App from now on."""
        self._app = app
        self.on_bound(app)

    def on_bound(self, app: Any) -> Any:
        """Run when an App takes a task in. A hook: a class of yours may have its own."""

    def with_options(self, **options: Unpack[TaskKeywords]) -> Self:
        """Return the same function as a task with other options."""
        return self.at(self._app, TaskOptions.make(options, self.own_options))

    def __getattr__(self, name: str) -> Any:
        if name in _OPTIONS and "own_options" in self.__dict__:
            return getattr(self.options, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Run the function here, now."""

    # -- submitting

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Submit a call with these arguments."""
        # As at_border does; written out, for here each step counts.
        __tracebackhide__ = True
        try:
            return submit_call(self.app.engine, self, args, kwargs, {})
        except BaseException as error:
            if LEAVES_A_FRAME or not isinstance(self, Task):
                raised = error if isinstance(self, Task) else ownclass.called_on_class(self)
                raise shortened(raised)  # noqa: B904 - the same error
            shortened(error)
            raise

    @at_border
    @documented(CallKeywords, {**_OF_CALLS, "quiet": True})
    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        link: Any = None,
        link_error: Any = None,
        **options: Unpack[CallKeywords],
    ) -> AsyncResult[R]:
        """Submit a call.

        Args:
            args: positional arguments; None for none.
            kwargs: keyword arguments; None for none.
            link: signatures that run with its value when it has succeeded: one, or a list.
            link_error: signatures that run when it has not.
            options: as below; those of the task, if it has them, where none is given.

        Raises:
            TypeError: the arguments do not fit the function.
            NotPicklable: an argument, or something that the function captures, cannot travel.
            ConfigError: an unknown option or a bad value.
            BrokerUnavailable: the broker cannot be reached; nothing was submitted.
        """
        if link or link_error:
            linked = {"link": link, "link_error": link_error}
            return self.signature(args, kwargs, **options).apply_async(**linked)  # type: ignore[no-any-return]
        return submit_call(self.app.engine, self, *self._arguments(args, kwargs), dict(options))

    @overload
    def map(
        self, iterable: Iterable[Any], *, on_error: Literal["keep"], **options: Unpack[GroupKeywords]
    ) -> GroupResult[R | BaseException]: ...

    @overload
    def map(
        self,
        iterable: Iterable[Any],
        *,
        on_error: Literal["raise", "stop"] = "raise",
        **options: Unpack[GroupKeywords],
    ) -> GroupResult[R]: ...

    @at_border
    @documented(MapKeywords, {**_OF_CALLS, **_OF_MAPS})
    def map(self, iterable: Iterable[Any], **options: Any) -> GroupResult[Any]:
        """Submit one call for each item; the items are read, and packed one by one, before anything is sent.

        Args:
            iterable: one argument for each call. With ``max_parallel`` its items are read as they are needed, and an
                exception of it revokes the rest.
            options: as below; those of the task, if it has them, where none is given.

        Raises:
            TypeError: an item does not fit the function.
            NotPicklable: an item, or something that the function captures, cannot travel.
            ConfigError: an unknown option or a bad value.
            BrokerUnavailable: the broker cannot be reached; nothing was submitted.
        """
        return self._map(lambda: ((item,) for item in iterable), iterable, options)

    @overload
    def starmap(
        self,
        iterable: Iterable[Iterable[Any]],
        *,
        on_error: Literal["keep"],
        **options: Unpack[GroupKeywords],
    ) -> GroupResult[R | BaseException]: ...

    @overload
    def starmap(
        self,
        iterable: Iterable[Iterable[Any]],
        *,
        on_error: Literal["raise", "stop"] = "raise",
        **options: Unpack[GroupKeywords],
    ) -> GroupResult[R]: ...

    @at_border
    @documented(MapKeywords, {**_OF_CALLS, **_OF_MAPS})
    def starmap(self, iterable: Iterable[Iterable[Any]], **options: Any) -> GroupResult[Any]:
        """Submit one call for each tuple of arguments; otherwise as :meth:`map`."""
        return self._map(lambda: (self._tuple(item) for item in iterable), iterable, options)

    def _map(
        self, tuples: Callable[[], Iterable[tuple[Any, ...]]], source: Any, options: dict[str, Any]
    ) -> GroupResult[Any]:
        if not (hasattr(source, "__iter__") or hasattr(source, "__getitem__")):
            raise TypeError(
                f"{self.name}: {source!r:.60} is not iterable: a map is of many items; for one call say delay(...)"
            )
        own = {name: options.pop(name) for name in options.keys() & _OF_MAPS}
        how = MapOptions(**own, length=_length_of(source), as_taken=type(source) not in _THERE)
        return submit_map(self.app.engine, self, tuples, how, options)

    @at_border
    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        throw: bool = False,
        **options: Unpack[CallKeywords],
    ) -> EagerResult[R]:
        """Run a call here, by the way a worker does it: everything is pickled and unpickled once.

        Args:
            args: positional arguments; None for none.
            kwargs: keyword arguments; None for none.
            throw: whether to raise what the task raises.
            options: those of :meth:`apply_async`; they are checked, and none keeps the call from running now.

        Raises:
            TypeError: the arguments do not fit the function.
            NotPicklable: an argument, or something that the function captures, cannot travel.
        """
        if options:
            check_options(self, dict(options))
        ended: EagerResult[R] = lateparts.apply_here(self, *self._arguments(args, kwargs))
        if throw:
            ended.get()
        return ended

    def AsyncResult(self, task_id: str) -> AsyncResult[R]:  # noqa: N802 - Celery's name
        """Return the handle of a call of it by its id."""
        return AsyncResult(task_id, app=self.app)

    # -- as a part of something larger

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """Return a call that is not submitted yet: for chains, groups and chords."""
        return lateparts.Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Return one that leaves out what others hand on to it."""
        return lateparts.Signature(self, args, kwargs, immutable=True)

    def signature(self, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """Return one with options: ``immutable``, and those of :meth:`apply_async`."""
        return lateparts.signature(self, *self._arguments(args, kwargs), **options)

    subtask = signature

    def chunks(self, it: Iterable[Iterable[Any]], n: int) -> chunks:
        """Return calls that are not submitted yet, each for ``n`` tuples of arguments: ``add.chunks(pairs, 10)()``."""
        return lateparts.chunks(self, it, n)

    def _tuple(self, item: Iterable[Any]) -> tuple[Any, ...]:
        if type(item) is tuple:
            return item
        with contextlib.suppress(TypeError):
            if not isinstance(item, _WITHOUT_ORDER):
                return tuple(item)
        raise TypeError(
            f"{self.name}: starmap takes a tuple of arguments for each call, not {item!r:.40}; "
            "map takes one argument for each"
        )

    def _arguments(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return both as they are needed; the arguments themselves are often given in their place."""
        args = () if args is None else args
        if isinstance(args, _WITHOUT_ORDER):
            raise TypeError(
                f"{self.name}: args is a tuple of all positional arguments, and a {type(args).__name__} has no order; "
                f"say kwargs= for those with names, or ({args!r:.40},) for one argument"
            )
        if isinstance(args, (str, bytes)) or not isinstance(args, Iterable):
            raise TypeError(
                f"{self.name}: args is a tuple of all positional arguments, such as ({args!r:.40},), not {args!r:.40}"
            )
        if kwargs is not None and not isinstance(kwargs, Mapping):
            raise TypeError(
                f"{self.name}: kwargs is a dict of the keyword arguments, not {kwargs!r:.40}; "
                f"delay(...) takes arguments as a call does"
            )
        return tuple(args), dict(kwargs or {})


def _length_of(source: Any) -> int | None:
    """Return how many items there will be; None where that is not known before they are read."""
    try:
        return len(source)
    except Exception:
        # What wraps another iterable, a progress bar say, has a length only where that one has.
        return None


def _found(module: str, name: str) -> Task | None:
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, Task) else None


def _by_value(parts: tuple[Any, ...]) -> bytes | None:
    """Return a task by value, for processes that do not have its module; None where it cannot travel like that."""
    try:
        with home.BoundFor(home.ANYWHERE):
            return pickling.dump_function((current.rebuild[0], parts))
    except NotPicklable:
        return None


def found_or_rebuilt(module: str, name: str, packed: bytes | None) -> Task:
    """Return a task of a module that is here, else what it was; named in pickles, so it keeps its name and place.

    Raises:
        ConfigError: neither can be done.
    """
    if module not in sys.modules and module != "__main__":
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    found = _found(module, name)
    if found is not None:
        return found
    if packed is None:
        raise ConfigError(
            f"task {name!r} is not in {module} here, and cannot travel: import it, or define it here"
        )
    rebuild, parts = pickling.loads(packed)
    rebuilt: Task = rebuild(*parts)
    return rebuilt
