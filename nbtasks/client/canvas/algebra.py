"""Compositions of signatures: one after the other (chain), beside each other (group), and both (chord)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import ConfigError

from . import signature as signatures
from .compiling import NOTHING_GIVEN, Builder, Given, Left
from .composite import Composite
from .rows import Rows, packed
from .signature import Signature, element

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks.core.plan import CallRange

#: Members of a group that its repr names.
_MOST_SHOWN = 5


# -- one after the other


class chain(Composite):  # noqa: N801 - Celery's name
    """Signatures that run one after the other, each with the value of the one before as its first argument.

    ``a | b | c`` is the same. After a group a step gets the list of all its values. An empty group is left out.

    Raises:
        TypeError: something is no signature.
    """

    __slots__ = ("tasks",)
    subtask_type = "chain"

    def __init__(self, *tasks: Any, **options: Any) -> None:
        many = tasks[0] if len(tasks) == 1 and not _is_part(tasks[0]) else tasks
        if not isinstance(many, Iterable):
            element(many, "chain")
        self.tasks: tuple[Signature, ...] = _joined(element(one, "chain") for one in many)
        self._begin(options)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.tasks)) or "chain()"

    def _made_of(self) -> Any:
        return self.tasks

    def _copied(self) -> Self:
        made = type(self).__new__(type(self))
        made.tasks = tuple(one.clone() for one in self.tasks)
        return made

    def _prepend(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self.tasks:
            self.tasks = (self.tasks[0].clone(args, kwargs), *self.tasks[1:])

    def __getitem__(self, key: Any) -> Any:
        if key == "kwargs":
            return {"tasks": [dict(one) for one in self.tasks]}
        return super().__getitem__(key) if isinstance(key, str) else self.tasks[key]

    def __len__(self) -> int:
        return len(self.tasks)

    @classmethod
    def _stored(cls, data: Mapping[str, Any]) -> Signature:
        return chain(*data["kwargs"]["tasks"])

    def link(self, callback: Any) -> Any:
        """Have another one run with the value of the last step; returns that one."""
        if self.tasks and isinstance(self.tasks[-1], group):
            raise TypeError(_NO_LINK)
        return super().link(callback)

    def unchain_tasks(self) -> list[Signature]:
        """Return its steps."""
        return [one.clone() for one in self.tasks]

    @property
    def steps(self) -> tuple[Signature, ...]:
        """Its steps, where they are all that there is to it."""
        return () if self.options else self.tasks

    def emit(self, builder: Builder, before: Left | None, given: Given) -> Left:
        """Add its steps to a plan."""
        if not self.tasks:
            raise ConfigError("a chain of no steps has nothing to run; say chain(a.s(...), b.s())")
        given, first = given.over(self._plain_options()), len(builder)
        left, now = before, given
        for step in self.tasks:
            if left is None or not (isinstance(step, group) and step.is_empty):
                left, now = step.emit(builder, left, now), given.later()
        assert left is not None
        return self.emit_links(builder, left, builder.ranges(first), given)

    def emit_errback(self, builder: Builder, watched: Iterable[CallRange]) -> Left:
        """Add its steps to a plan, the first one as what runs only after a failure."""
        if not self.tasks:
            raise ConfigError("link_error: a chain of no steps has nothing to run")
        first, given = len(builder), NOTHING_GIVEN.over(self._plain_options()).later()
        left = self.tasks[0].emit_errback(builder, watched)
        for step in self.tasks[1:]:
            left = step.emit(builder, left, given)
        return self.emit_links(builder, left, builder.ranges(first), given)

    def _plain_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name not in ("link", "link_error")}


def _is_part(what: Any) -> bool:
    return isinstance(what, (Signature, Mapping)) or callable(what)


def _joined(tasks: Iterable[Signature]) -> tuple[Signature, ...]:
    """Return the steps of a chain: chains in it opened, and what follows a group as the body of a chord."""
    steps: list[Signature] = []
    for one in tasks:
        for step in one.tasks if isinstance(one, chain) and not one.options else (one,):
            last = steps[-1] if steps else None
            if type(last) is group and not (isinstance(step, group) and step.is_empty):
                steps[-1] = chord(last, step)
            else:
                steps.append(step)
    return tuple(steps)


# -- beside each other


_NO_LINK = "Cannot add link to group: use a chord. group(...) | callback.s() calls it once with the list of all values"


class group(Composite):  # noqa: N801 - Celery's name
    """Signatures that run beside each other; their value is the list of all values, in their order.

    What comes from a generator is read at once, and kept as arguments only: a million calls are no problem.

    Raises:
        TypeError: something is no signature.
    """

    __slots__ = ("_packed", "_tasks")
    subtask_type = "group"

    def __init__(self, *tasks: Any, **options: Any) -> None:
        many = tasks[0] if len(tasks) == 1 and not _is_part(tasks[0]) else tasks
        if not isinstance(many, Iterable):
            element(many, "group")
        checked = _flat(signatures.members(many))
        #: As they were given, where they were there before; they may still be changed.
        self._tasks: list[Signature] | None = None
        self._packed: list[Rows | Signature] = []
        if isinstance(many, Sequence):
            self._tasks = list(checked)
        else:
            self._packed = list(packed(checked))
        self._begin(options)

    @classmethod
    def _of(cls, tasks: list[Signature] | None, parts: list[Rows | Signature]) -> Self:
        made = cls.__new__(cls)
        made._tasks, made._packed = tasks, parts
        made._begin({})
        return made

    @property
    def tasks(self) -> list[Signature]:
        """The members. Of those that came from a generator these are copies."""
        if self._tasks is not None:
            return self._tasks
        return [
            one
            for part in self._packed
            for one in (map(_member, part.each()) if isinstance(part, Rows) else (part,))
        ]

    @property
    def parts(self) -> Iterable[Rows | Signature]:
        """The members, those together that are alike."""
        return self._packed if self._tasks is None else packed(self._tasks)

    def __len__(self) -> int:
        if self._tasks is not None:
            return len(self._tasks)
        return sum(len(part) if isinstance(part, Rows) else 1 for part in self._packed)

    @property
    def is_empty(self) -> bool:
        """Whether it has no members."""
        return not (self._packed if self._tasks is None else self._tasks)

    def __repr__(self) -> str:
        if len(self) <= _MOST_SHOWN:
            return f"group({', '.join(map(repr, self.tasks))})"
        return f"group({self.first!r}, ... {len(self):,} in all)"

    @property
    def first(self) -> Signature | None:
        """The first member, if there is one."""
        for part in self.parts:
            return _member(next(part.each())) if isinstance(part, Rows) else part
        return None

    def __getitem__(self, key: Any) -> Any:
        if key == "kwargs":
            return {"tasks": [dict(one) for one in self.tasks]}
        return super().__getitem__(key) if isinstance(key, str) else self.tasks[key]

    @classmethod
    def _stored(cls, data: Mapping[str, Any]) -> Signature:
        return group([element(one, "group") for one in data["kwargs"]["tasks"]])

    def _made_of(self) -> Any:
        return (self.tasks,)

    def __reduce__(self) -> tuple[Any, ...]:
        parts = self._packed if self._tasks is None else list(packed(self._tasks))
        return rebuilt_group, (parts, self.options, self.immutable)

    def _copied(self) -> Self:
        if self._tasks is None:
            return self._of(None, list(self._packed))
        return self._of([one.clone() for one in self._tasks], [])

    def _prepend(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self._tasks is not None:
            self._tasks = [one.clone(args, kwargs) for one in self._tasks]
        self._packed = [
            part.prepended(args, kwargs) if isinstance(part, Rows) else part.clone(args, kwargs)
            for part in self._packed
        ]

    def set_immutable(self, immutable: bool) -> None:
        """Have its members leave out what others hand on to them, or take that."""
        self._opened()
        for one in self.tasks:
            one.set_immutable(immutable)

    def _opened(self) -> None:
        """Have its members as signatures of their own from now on."""
        if self._tasks is None:
            self._tasks, self._packed = self.tasks, []

    def link(self, callback: Any) -> Any:
        """Raise TypeError, as in Celery: a chord is what has a callback."""
        raise TypeError(_NO_LINK)

    def link_error(self, errback: Any) -> Any:
        """Have another one run for each member that does not succeed; returns that one."""
        self._opened()
        for one in self.tasks:
            one.link_error(errback)
        return errback

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> Self:
        """Have members begin one after the other: a countdown of ``start`` seconds, then ``step`` more for each."""
        self._opened()
        countdown = start
        for one in self.tasks:
            one.set(countdown=countdown)
            countdown = countdown + step if stop is None else min(countdown + step, stop)
        return self

    def emit(self, builder: Builder, before: Left | None, given: Given) -> Left:
        """Add its members to a plan."""
        given = given.over(self.options)
        values: list[Any] = []
        for part in self.parts:
            if isinstance(part, Rows):
                values.extend(part.emit(builder, before, given))
                continue
            left = part.emit(builder, before, given)
            # A group in it stands in its list; what ends in a group has a list of its own.
            values.extend([left.values] if left.of_many else left.values)
        return Left(tuple(values), of_many=True)

    def emit_errback(self, builder: Builder, watched: Iterable[CallRange]) -> Left:
        """Add its members to a plan, each as what runs only after a failure."""
        values: list[Any] = []
        for one in self.tasks:
            left = one.emit_errback(builder, watched)
            values.extend([left.values] if left.of_many else left.values)
        return Left(tuple(values), of_many=True)


def _member(calls: list[Signature]) -> Signature:
    return calls[0] if len(calls) == 1 else chain(*calls)


def rebuilt_group(parts: list[Any], options: dict[str, Any], immutable: bool) -> group:
    """Return a pickled group; named in pickles, so it keeps its name and place."""
    made = group._of(None, parts)
    made.options, made.immutable = options, immutable
    return made


def _flat(tasks: Iterable[Signature]) -> Iterator[Signature]:
    """Yield members; those of a group in their places."""
    for one in tasks:
        if isinstance(one, group) and not one.options:
            yield from one.tasks
        elif isinstance(one, group):
            yield from (member.clone().set(**one.options) for member in one.tasks)
        elif type(one) is chain and len(one.tasks) == 1 and not one.options:
            yield from _flat(one.tasks)
        else:
            yield one


# -- both


class chord(Composite):  # noqa: N801 - Celery's name
    """A group, and a body that gets the list of all its values once they have all succeeded.

    ``group(...) | body`` is the same. ``chord(header)(body)`` submits it.

    Raises:
        TypeError: something is no signature.
    """

    __slots__ = ("body", "header")
    subtask_type = "chord"

    def __init__(self, header: Any, body: Any = None, **options: Any) -> None:
        is_group = isinstance(header, group)
        self.header: group = header if is_group else group(header) if _is_part(header) else _grouped(header)
        self.body: Signature | None = None if body is None else element(body, "chord")
        self._begin(options)

    def __repr__(self) -> str:
        return f"{self.header!r} | {self.body!r}"

    @property
    def tasks(self) -> list[Signature]:
        """The members of its group."""
        return self.header.tasks

    def _made_of(self) -> Any:
        return self.header, self.body

    def _copied(self) -> Self:
        made = type(self).__new__(type(self))
        made.header, made.body = self.header.clone(), None if self.body is None else self.body.clone()
        return made

    def _prepend(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.header._prepend(args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        if key == "kwargs":
            body = None if self.body is None else dict(self.body)
            return {"header": dict(self.header), "body": body}
        return super().__getitem__(key)

    @classmethod
    def _stored(cls, data: Mapping[str, Any]) -> Signature:
        return chord(element(data["kwargs"]["header"], "chord"), data["kwargs"].get("body"))

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Submit it, with a body if it has none yet."""
        one = self if body is None else self.clone()
        if body is not None:
            one.body = element(body, "chord")
        return one.apply_async(**options)

    def link(self, callback: Any) -> Any:
        """Have another one run with the value of the body; returns that one."""
        return self._needed_body().link(callback)

    def link_error(self, errback: Any) -> Any:
        """Have another one run when the body does not succeed, or cannot run; returns that one."""
        return self._needed_body().link_error(errback)

    def _needed_body(self) -> Signature:
        if self.body is None:
            raise ConfigError(f"chord({self.header!r}) has no body: say chord(header, body.s())")
        return self.body

    def emit(self, builder: Builder, before: Left | None, given: Given) -> Left:
        """Add its group and its body to a plan."""
        body, given = self._needed_body(), given.over(self.options)
        # An empty group is left out where something comes before it.
        header = (
            before
            if before is not None and self.header.is_empty
            else self.header.emit(builder, before, given)
        )
        if isinstance(body, group) and body.is_empty:
            return header
        return body.emit(builder, header, given.later())

    def emit_errback(self, builder: Builder, watched: Iterable[CallRange]) -> Left:
        """Add its group to a plan as what runs only after a failure, and its body."""
        header = self.header.emit_errback(builder, watched)
        return self._needed_body().emit(builder, header, NOTHING_GIVEN.over(self.options).later())


def _grouped(header: Any) -> group:
    if not isinstance(header, Iterable):
        element(header, "chord")
    return group(header)


def joined(left: Signature, right: Any) -> Signature:
    """Return ``left | right``."""
    other = element(right, "|")
    if isinstance(left, group):
        # A group of one stays a group: what follows gets a list.
        return chord(left, other)
    if isinstance(left, chord):
        return chord(left.header, joined(left._needed_body(), other), **left.options)
    return chain(left, other)


signatures.join.append(joined)
