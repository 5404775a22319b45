"""Workflows as plans, for tests of what the server and the workers make of them."""

from __future__ import annotations

from typing import Any

from nbtasks.client.result import AsyncResult
from nbtasks.client.submitting.workflows import NodeCalls, submit_workflow
from nbtasks.core.plan import CallRange, Edge, Node, Plan


def one(node: int, index: int = 0) -> Edge:
    """The value of a call."""
    return Edge("one", (CallRange(node, index),))


def each(node: int, count: int, kind: Any = "one") -> Edge:
    """The value of the call with the same index."""
    return Edge(kind, (CallRange(node, 0, count),), each=True)


def many(*parts: tuple[int, int], kind: Any = "list") -> Edge:
    """The values of all calls of nodes, each with its number of calls."""
    return Edge(kind, tuple(CallRange(node, 0, count) for node, count in parts))


class Run:
    """A workflow on its way: for each node its batch and the handles of its calls."""

    def __init__(self, app: Any, *nodes: tuple[Any, list[Any], list[Edge]], **options: Any) -> None:
        """Submit one.

        Args:
            nodes: task, the own arguments of each call (a tuple or one value), and what they need.
            options: of all calls.
        """
        steps = [NodeCalls(task, [(_args(call), {}) for call in calls], options) for task, calls, _ in nodes]
        last = len(nodes) - 1
        self.plan = Plan(
            tuple(Node(len(calls), tuple(ins)) for _, calls, ins in nodes),
            (CallRange(last, 0, len(nodes[last][1])),),
            of_many=len(nodes[last][1]) != 1,
        )
        self.app = app
        self.batches = submit_workflow(app.engine, self.plan, steps)

    def of(self, node: int, index: int = 0) -> AsyncResult[Any]:
        """Return the handle of a call."""
        return AsyncResult.of(self.batches[node], index)

    def values(self, node: int, timeout: float = 60) -> list[Any]:
        """Return the values of a node's calls, or their exceptions."""
        return [self.of(node, k).get(timeout=timeout, propagate=False) for k in range(self.batches[node].n)]

    def states(self) -> list[str]:
        """Return the states of all calls, node by node, once all have ended."""
        for batch in self.batches:
            assert batch.wait(60), f"{batch.name} has not ended"
        return [batch.state(index) for batch in self.batches for index in range(batch.n)]

    def revoke(self, terminate: bool = False) -> None:
        """Revoke all of it."""
        self.app.engine.revoke_workflow(self.batches[0], terminate)


def _args(call: Any) -> tuple[Any, ...]:
    return call if isinstance(call, tuple) else (call,)
