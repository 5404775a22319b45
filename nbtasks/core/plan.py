"""The plan of a workflow: which batches it is made of, and what each of them needs from those before it.

A node is a batch. It comes after all that it needs, so the order of the nodes is an order in which they can run, and
the reverse is one in which nothing ends before all that waits for it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Union, get_args

from .errors import ConfigError

MOST_NODES = 10_000

#: What a node needs. ``one``: the value of a call, as its first argument. ``list``: the values of many calls as one
#: list. ``after``: that they have succeeded; nothing is handed on. The others run only if something has failed or was
#: revoked, once all that they name have ended: ``error`` with nothing handed on, ``error-id`` with the id of the first
#: call that did not succeed, ``error-call`` with that call's request, its exception, and its traceback as text.
EdgeKind = Literal["one", "list", "after", "error", "error-id", "error-call"]
_KINDS = get_args(EdgeKind)
ERROR_KINDS = frozenset({"error", "error-id", "error-call"})


@dataclass(frozen=True)
class CallRange:
    """Calls of one node.

    Attributes:
        node: the node's place in the plan.
        first: index of the first call.
        count: how many.
    """

    node: int
    first: int = 0
    count: int = 1


#: Where values come from: a range in a tuple gives the values of its calls, one after the other; a tuple in a tuple
#: gives a list of its own.
Values: TypeAlias = tuple[Union[CallRange, "Values"], ...]


def ranges_of(values: Values) -> Iterator[CallRange]:
    """Yield the ranges, however deep they lie, in the order of their values."""
    for part in values:
        if isinstance(part, CallRange):
            yield part
        else:
            yield from ranges_of(part)


@dataclass(frozen=True)
class Edge:
    """What a node needs from nodes before it.

    Attributes:
        kind: what is handed on.
        of: whose values; for ``one`` a range of one call, or with ``each`` of all calls of a node. Only those of
            ``list`` hold lists in the list.
        each: call i of the node needs call i of the other alone. It is the only edge of such a node then, which has as
            many calls as the other, and no other node needs each of the same.
        placed: the value does not come before the calls' own arguments, but stands somewhere in them, in the place that
            awaited.py keeps: the first such edge for the first place, and so on.
        only: (first, count) of those calls of the node that need it; empty: all.
    """

    kind: EdgeKind
    of: Values
    each: bool = False
    placed: bool = False
    only: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Node:
    """A batch of a workflow.

    Attributes:
        count: its calls.
        ins: what it needs; what several edges hand on comes in their order, before the calls' own arguments.
        earlier: it was submitted before the workflow, and others may need it, too. Those that need it wait for no more
            of its calls than they name.
    """

    count: int
    ins: tuple[Edge, ...] = ()
    earlier: bool = False

    @property
    def waits_for(self) -> list[int]:
        """The nodes that must have ended before its calls run, each once; with an ``each`` edge the one whose are."""
        return list(dict.fromkeys(part.node for edge in self.ins for part in ranges_of(edge.of)))

    @property
    def each_of(self) -> int | None:
        """The node whose calls its own follow one by one; None where it waits for whole batches."""
        each = [edge for edge in self.ins if edge.each]
        return next(ranges_of(each[0].of)).node if each else None

    @property
    def is_errback(self) -> bool:
        """Whether it runs only if something has failed."""
        return any(edge.kind in ERROR_KINDS for edge in self.ins)


@dataclass(frozen=True)
class Plan:
    """A whole workflow.

    Attributes:
        nodes: in an order in which they can run.
        result: whose values are the workflow's: one call, or (``of_many``) the list of a group.
        of_many: whether the result is a list, also where it has one value or none.

    Raises:
        ConfigError: it is none: a node needs a later one, or calls that are not there; or it has too many nodes.
    """

    nodes: tuple[Node, ...]
    result: Values
    of_many: bool = False

    def __post_init__(self) -> None:
        if len(self.nodes) > MOST_NODES:
            raise ConfigError(
                f"a workflow has {MOST_NODES:,} steps at most, and this one has {len(self.nodes):,}: let calls of one "
                "task that wait for the same stand in one group, which counts as one step, or submit it in parts"
            )
        followed: set[int] = set()
        for place, node in enumerate(self.nodes):
            if node.count < 1:
                raise ConfigError(f"step {place} of a workflow has {node.count} calls")
            if node.earlier and node.ins:
                raise ConfigError(f"step {place} was there before the workflow, so it can need nothing of it")
            for edge in node.ins:
                self._check_edge(place, node, edge)
            if node.each_of is not None:
                if node.each_of in followed:
                    raise ConfigError(
                        f"two steps of a workflow follow the calls of step {node.each_of} one by one"
                    )
                followed.add(node.each_of)
        self._check_ranges(len(self.nodes), self.result)
        if not self.of_many and [getattr(part, "count", 0) for part in self.result] != [1]:
            raise ConfigError("the result of a workflow is one call, or a list")

    def _check_edge(self, place: int, node: Node, edge: Edge) -> None:
        if edge.kind not in _KINDS:
            raise ConfigError(f"{edge.kind!r} is no edge of a workflow; known are {', '.join(_KINDS)}")
        if edge.kind in ERROR_KINDS and len(node.ins) != 1:
            raise ConfigError(f"step {place} of a workflow waits for errors, so it can need nothing else")
        self._check_ranges(place, edge.of)
        if (edge.placed or edge.only) and (edge.each or edge.kind in ERROR_KINDS):
            raise ConfigError(
                f"step {place} of a workflow cannot have a place for {edge.kind!r} of {edge.of}"
            )
        if not all(0 <= first < first + count <= node.count for first, count in edge.only):
            raise ConfigError(f"step {place} of a workflow has no calls {edge.only}")
        count = sum(part.count for part in ranges_of(edge.of))
        plain = all(isinstance(part, CallRange) for part in edge.of)
        if edge.each:
            whole = plain and len(edge.of) == 1 and count == node.count
            fits = whole and edge.of[0] == CallRange(next(ranges_of(edge.of)).node, 0, node.count)
            fits = fits and len(node.ins) == 1 and edge.kind in {"one", "after"}
            before = self.nodes[next(ranges_of(edge.of)).node]
            fits = fits and before.count == node.count and not before.earlier
        elif edge.kind == "one":
            fits = plain and count == 1
        else:
            fits = edge.kind == "list" or (plain and count > 0)
        if not fits:
            raise ConfigError(f"step {place} of a workflow cannot get {edge.kind!r} of {edge.of}")

    def _check_ranges(self, end: int, values: Values) -> None:
        """Check that all calls are there, and of nodes before ``end``."""
        for part in ranges_of(values):
            there = 0 <= part.node < end and part.first >= 0 and part.count >= 1
            if not there or part.first + part.count > self.nodes[part.node].count:
                raise ConfigError(f"a workflow has no {part} before step {end}")

    @property
    def followers(self) -> list[list[int]]:
        """For each node those that wait for it, in their order."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for place, node in enumerate(self.nodes):
            for before in node.waits_for:
                found[before].append(place)
        return found

    def downstream(self, place: int) -> list[int]:
        """Return all nodes that wait for one, or for what waits for it, in their order."""
        reached = {place}
        for later in range(place + 1, len(self.nodes)):
            if not reached.isdisjoint(self.nodes[later].waits_for):
                reached.add(later)
        return sorted(reached - {place})

    def to_json(self) -> list[Any]:
        """Return JSON types."""
        nodes = [
            [node.count, [_edge_packed(edge) for edge in node.ins], *([1] if node.earlier else [])]
            for node in self.nodes
        ]
        return [nodes, _packed(self.result), int(self.of_many)]

    @classmethod
    def from_json(cls, data: Any) -> Plan:
        """Read what :meth:`to_json` wrote.

        Raises:
            ConfigError: it is no plan.
        """
        try:
            nodes, result, of_many = data
            return cls(tuple(_node(*parts) for parts in nodes), _unpacked(result), bool(of_many))
        except (TypeError, ValueError, IndexError, RecursionError) as error:
            raise ConfigError(f"no plan of a workflow: {error}") from error


def _edge_packed(edge: Edge) -> list[Any]:
    packed = [edge.kind, _packed(edge.of), int(edge.each), int(edge.placed), *map(list, edge.only)]
    return packed if edge.placed or edge.only else packed[: 3 if edge.each else 2]


def _node(count: Any, ins: Any, earlier: Any = 0) -> Node:
    return Node(int(count), tuple(_edge(*parts) for parts in ins), bool(earlier))


def _edge(kind: Any, of: Any, each: Any = 0, placed: Any = 0, *only: Any) -> Edge:
    calls = tuple((int(first), int(count)) for first, count in only)
    return Edge(kind, _unpacked(of), bool(each), bool(placed), calls)


def _packed(values: Values) -> list[Any]:
    return [
        [part.node, part.first, part.count] if isinstance(part, CallRange) else _packed(part)
        for part in values
    ]


def _unpacked(data: Any) -> Values:
    return tuple(
        CallRange(*map(int, part)) if part and not isinstance(part[0], list) else _unpacked(part)
        for part in data
    )
