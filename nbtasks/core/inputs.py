"""What calls of a workflow need from calls before them, as it travels with their chunk.

As in plan.py, with batches in the place of nodes: who opens a chunk needs no plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, Union, get_args

from .ids import call_id
from .plan import ERROR_KINDS, CallRange, EdgeKind, Plan, Values
from .wirefields import flag, items, text, whole

_KINDS = get_args(EdgeKind)
#: Lists in lists.
_DEEPEST = 50


@dataclass(frozen=True)
class CallsBefore:
    """Calls of a batch.

    Attributes:
        first: index of the first.
        count: how many.
        single: the batch is one call, and has its id.
    """

    batch: str
    first: int
    count: int
    single: bool

    def id_of(self, index: int) -> str:
        """Return the id of one of the calls, by its index in the batch."""
        return call_id(self.batch, index, 1 if self.single else None)


Sources: TypeAlias = tuple[Union[CallsBefore, "Sources"], ...]


@dataclass(frozen=True)
class Input:
    """What one edge of a plan hands on; as :class:`nbtasks.core.plan.Edge`."""

    kind: EdgeKind
    of: Sources
    each: bool = False
    placed: bool = False
    only: tuple[tuple[int, int], ...] = ()

    @property
    def is_of_errors(self) -> bool:
        """Whether the calls run only if something has failed."""
        return self.kind in ERROR_KINDS

    @property
    def is_collecting(self) -> bool:
        """Whether it is about many calls as one: if one of them fails, it is that of a chord."""
        return self.kind == "list" or (not self.each and sum(part.count for part in calls_of(self.of)) > 1)

    def at(self, index: int) -> Sources:
        """Return what the call with an index needs."""
        if self.only and not any(first <= index < first + count for first, count in self.only):
            return ()
        if not self.each:
            return self.of
        return tuple(CallsBefore(part.batch, index, 1, part.single) for part in calls_of(self.of))


def calls_of(sources: Sources) -> Iterator[CallsBefore]:
    """Yield the calls, however deep they lie, in the order of their values."""
    for part in sources:
        if isinstance(part, CallsBefore):
            yield part
        else:
            yield from calls_of(part)


def inputs_of(plan: Plan, node: int, batches: Sequence[str], singles: Sequence[bool]) -> tuple[Input, ...]:
    """Return what the calls of a node need.

    Args:
        batches: id of each node's batch.
        singles: of each node, whether its batch is one call and has its id.
    """
    return tuple(
        Input(edge.kind, sources_of(edge.of, batches, singles), edge.each, edge.placed, edge.only)
        for edge in plan.nodes[node].ins
    )


def sources_of(values: Values, batches: Sequence[str], singles: Sequence[bool]) -> Sources:
    """Return calls of a plan as calls of batches, as for :func:`inputs_of`."""
    return tuple(
        CallsBefore(batches[part.node], part.first, part.count, singles[part.node])
        if isinstance(part, CallRange)
        else sources_of(part, batches, singles)
        for part in values
    )


def inputs_to_wire(inputs: Sequence[Input]) -> list[Any]:
    """Return inputs as JSON types."""
    return [[one.kind, int(one.each), _packed(one.of), *_placing(one)] for one in inputs]


def _placing(one: Input) -> list[Any]:
    return [int(one.placed), *map(list, one.only)] if one.placed or one.only else []


def inputs_from_wire(value: Any) -> tuple[Input, ...]:
    """Read what :func:`inputs_to_wire` has made.

    Raises:
        ValueError: it makes no sense.
    """
    return tuple(_input(*items(parts)) for parts in items(value))


def _input(kind: Any = None, each: Any = None, of: Any = None, placed: Any = 0, *only: Any) -> Input:
    if text(kind) not in _KINDS:
        raise ValueError(f"{kind!r:.40} is nothing that calls can need")
    return Input(kind, _unpacked(of, 0), flag(each), flag(placed), tuple(_range(*items(one)) for one in only))


def _range(first: Any = None, count: Any = None, *_: Any) -> tuple[int, int]:
    return whole(first), whole(count)


def _packed(sources: Sources) -> list[Any]:
    return [
        [part.batch, part.first, part.count, int(part.single)]
        if isinstance(part, CallsBefore)
        else _packed(part)
        for part in sources
    ]


def _unpacked(value: Any, depth: int) -> Sources:
    if depth > _DEEPEST:
        raise ValueError("lists lie too deep in each other")
    return tuple(
        _calls(part) if part and type(part[0]) is str else _unpacked(part, depth + 1)
        for part in map(items, items(value))
    )


def _calls(part: list[Any]) -> CallsBefore:
    batch, first, count, single = part
    return CallsBefore(text(batch), whole(first), whole(count), flag(single))
