"""Calls that were submitted before, and that a workflow waits for: from their handles to nodes and edges of a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client.result import AsyncResult
from nbtasks.core.errors import ConfigError
from nbtasks.core.plan import CallRange, Edge, Node, Plan, Values
from nbtasks.core.ranges import runs

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.ledger import Ledger

#: Handles that the calls of one step may get.
MOST_HANDLES = 1_000


class Earlier:
    """The batches of calls that were submitted before, each once.

    Args:
        engine: the workflow's.

    Attributes:
        ledgers: of the nodes that they are; these come first in the plan.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.ledgers: list[Ledger] = []
        self._known: dict[str, int] = {}

    def edge(self, handle: Any, only: Sequence[int] | None = None, *, placed: bool = True) -> Edge:
        """Return an edge from the calls of a handle.

        Args:
            only: indexes of the calls that need it; None: all.
            placed: as of the edge; else the calls need no more than that they have succeeded.

        Raises:
            ConfigError: they are of another App, or nobody knows yet how many they are.
        """
        of = self._values(handle)
        kind = "one" if isinstance(handle, AsyncResult) else "list"
        calls = () if only is None else tuple(runs(only))
        return Edge(kind if placed else "after", of, placed=placed, only=calls)  # type: ignore[arg-type]

    def _values(self, handle: Any) -> Values:
        """Return the calls of a handle."""
        if isinstance(handle, AsyncResult):
            return (self.calls(handle.batch, handle.index, 1),)
        parts = getattr(handle, "spread", None)
        if parts is not None:
            found: list[Any] = []
            for part, is_open in parts:
                values = self._values(part)
                found += values if is_open or isinstance(part, AsyncResult) else [values]
            return tuple(found)
        batch = handle.batch
        if batch.growing:
            raise ConfigError(
                f"{batch.name} ({batch.id}) has max_parallel and reads its items one by one, so nobody knows yet how "
                "many results it has: submit it without max_parallel, or wait for it first"
            )
        if batch.repairs is None:
            return (self.calls(batch, 0, batch.n),) if batch.n else ()
        return tuple(self.calls(batch, index, 1) for index in range(batch.n))

    def calls(self, batch: Ledger, first: int, count: int) -> CallRange:
        """Return calls of a batch as those of a node; where one was submitted again, of what repairs it.

        Raises:
            ConfigError: they are of another App.
        """
        if batch.engine is not self._engine:
            raise ConfigError(
                f"{batch.name} ({batch.id}) is a call of another App: calls can only wait for others of the same App; "
                "pass its value, result.get()"
            )
        if count == 1 and batch.repairs is not None and (repair := batch.repairs.last(first)) is not None:
            # It was submitted again: what becomes of it there counts.
            return self.calls(repair.again, repair.place(first), 1)
        place = self._known.setdefault(batch.id, len(self.ledgers))
        if place == len(self.ledgers):
            self.ledgers.append(batch)
        return CallRange(place, first, count)

    def put_before(self, plan: Plan, more: Sequence[Sequence[Edge]]) -> Plan:
        """Return a plan with their nodes at its beginning.

        Args:
            more: of each of its nodes, edges from them.
        """
        by = len(self.ledgers)
        nodes = [Node(max(1, batch.n), earlier=True) for batch in self.ledgers]
        for node, edges in zip(plan.nodes, more, strict=True):
            own = [dataclasses.replace(edge, of=_moved(edge.of, by)) for edge in node.ins]
            nodes.append(dataclasses.replace(node, ins=(*own, *edges)))
        return Plan(tuple(nodes), _moved(plan.result, by), plan.of_many)


def _moved(values: Values, by: int) -> Values:
    return tuple(
        dataclasses.replace(part, node=part.node + by) if isinstance(part, CallRange) else _moved(part, by)
        for part in values
    )
