"""From compositions to the plan of a workflow. Nothing is sent and nothing runs here."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.parcel import Call
from nbtasks.core.errors import ConfigError
from nbtasks.core.plan import CallRange, Edge, EdgeKind, Node, Plan, Values, ranges_of

if TYPE_CHECKING:
    from nbtasks.client.definition import Definition

#: Options of the moment at which a workflow begins: what comes later in it does not take them over.
_OF_THE_BEGINNING = frozenset({"countdown", "eta", "task_id", "label", "link", "link_error"})


@dataclass(frozen=True, eq=False)
class Kind:
    """What calls have in common that may be one batch.

    Attributes:
        task: what they run.
        options: of ``apply_async``, without links.
        immutable: nothing is put before their own arguments.
    """

    task: Definition
    options: Mapping[str, Any]
    immutable: bool

    def is_like(self, other: Kind) -> bool:
        """Whether calls of both may be in one batch."""
        return self.task is other.task and self.immutable == other.immutable and self.options == other.options


@dataclass(frozen=True)
class Step:
    """The calls of one node: all of one task, with the same options.

    Attributes:
        calls: their own arguments; what edges hand on goes before them.
    """

    task: Definition
    options: Mapping[str, Any]
    calls: Sequence[Call]


@dataclass(frozen=True)
class Compiled:
    """A workflow that can be run: its plan, and what each node of it runs."""

    plan: Plan
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Left:
    """What a part of a workflow leaves to those after it: the value of one call, or a list."""

    values: Values
    of_many: bool = False


@dataclass(frozen=True)
class Given:
    """What is said at the submit, over what signatures have of their own.

    Attributes:
        args: before the own ones of the calls that come first.
        kwargs: over theirs.
        options: over theirs.
        defaults: where there are none of their own.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def over(self, options: Mapping[str, Any]) -> Given:
        """Return the same with the options of a composition, which count where nothing else is said."""
        return Given(self.args, self.kwargs, {**options, **self.options}, self.defaults)

    def later(self) -> Given:
        """Return what is said of the calls that come after the first ones."""
        options = {name: value for name, value in self.options.items() if name not in _OF_THE_BEGINNING}
        return Given(defaults={**self.defaults, **options})

    def options_of(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a call with some of its own."""
        return {**self.defaults, **own, **self.options}

    def calls(self, own: Sequence[Call], immutable: bool) -> Sequence[Call]:
        """Return calls with all of their arguments."""
        if immutable or not (self.args or self.kwargs):
            return own
        return [((*self.args, *args), {**kwargs, **self.kwargs}) for args, kwargs in own]


NOTHING_GIVEN = Given()


class Builder:
    """A plan that grows, node by node."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._steps: list[Step] = []
        self._aside: set[int] = set()

    def __len__(self) -> int:
        return len(self._nodes)

    def compiled(self, left: Left) -> Compiled:
        """Return what was built, where ``left`` is what users wait for.

        Raises:
            ConfigError: there are too many nodes.
        """
        return Compiled(Plan(tuple(self._nodes), left.values, left.of_many), tuple(self._steps))

    def calls(self, kind: Kind, calls: Sequence[Call], before: Left | None, given: Given) -> int:
        """Add a node of calls that all wait for the same; returns its place."""
        own = given.calls(calls, kind.immutable)
        ins: tuple[Edge, ...] = ()
        if before is not None and any(True for _ in ranges_of(before.values)):
            ins = (_edge(before, kind.immutable),)
        elif before is not None and not kind.immutable:
            own = [((_literal(before.values), *args), kwargs) for args, kwargs in own]
        return self._add(kind, given, own, ins)

    def each(self, kind: Kind, calls: Sequence[Call], of: int, given: Given) -> int:
        """Add a node whose calls follow those of another one by one; returns its place."""
        edge = Edge("after" if kind.immutable else "one", (CallRange(of, 0, len(calls)),), each=True)
        return self._add(kind, given, calls, (edge,))

    def errback(self, kind: Kind, call: Call, of: Iterable[CallRange]) -> int:
        """Add a call that runs only if one of others does not succeed; returns its place."""
        return self._add(kind, NOTHING_GIVEN, [call], (Edge(_told(kind, call), tuple(of)),))

    def ranges(self, first: int) -> list[CallRange]:
        """Return all calls of the nodes from one on, without those that were added aside."""
        return [
            CallRange(place, 0, self._nodes[place].count)
            for place in range(first, len(self))
            if place not in self._aside
        ]

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Add what is linked to others: nothing goes on from there."""
        first = len(self)
        yield
        self._aside.update(range(first, len(self)))

    def _add(self, kind: Kind, given: Given, calls: Sequence[Call], ins: tuple[Edge, ...]) -> int:
        self._nodes.append(Node(len(calls), ins))
        self._steps.append(Step(kind.task, given.options_of(kind.options), calls))
        return len(self) - 1


def _edge(before: Left, immutable: bool) -> Edge:
    if immutable:
        return Edge("after", tuple(ranges_of(before.values)))
    return Edge("list" if before.of_many else "one", before.values)


def _literal(values: Values) -> list[Any]:
    """Return lists without a value."""
    return [_literal(part) for part in values if isinstance(part, tuple)]


def _told(kind: Kind, call: Call) -> EdgeKind:
    """Return what a function is told of an error: as in Celery by the number of its parameters."""
    if kind.immutable:
        return "error"
    taken = _positional(kind.task.function) - len(call[0])
    return "error-call" if taken >= 3 and not kind.task.options.bind else "error-id"


def _positional(function: Any) -> int:
    """Return how many positional arguments a function can take; 1 where that cannot be found out."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    return sum(one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD} for one in parameters)


def compiled_by(emit: Callable[[Builder], Left]) -> Compiled:
    """Return a plan of what ``emit`` adds to it.

    Raises:
        ConfigError: it has too many steps, or is nested without end.
    """
    builder = Builder()
    try:
        left = emit(builder)
    except RecursionError as error:
        raise ConfigError(
            "a composition contains itself, is linked to itself, or is nested too deeply: write steps that come one "
            "after the other as chain(a, b, ...), which may be long, and put signature.clone() where one comes twice"
        ) from error
    return builder.compiled(left)
