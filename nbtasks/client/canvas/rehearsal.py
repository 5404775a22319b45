"""A workflow that is run here, call by call, by the way workers do it: what ``apply()`` returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nbtasks.client import eager
from nbtasks.client.batches.parcel import Call
from nbtasks.client.border import at_border
from nbtasks.client.eager import EagerResult
from nbtasks.core import states as st
from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import ChordError, NotNeeded
from nbtasks.core.ids import new_id
from nbtasks.core.plan import CallRange, Edge, Node, Values, ranges_of

from .compiling import Compiled, Step


class EagerGroup:
    """The results of a group that ran here and is over. Has the surface of GroupResult."""

    def __init__(self, results: Sequence[Any], parent: Any = None) -> None:
        self.id = new_id()
        self.results = self.children = list(results)
        self.parent = parent

    def __repr__(self) -> str:
        return f"<EagerGroup {self.id}: {len(self)} results>"

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    @property
    def state(self) -> str:
        """SUCCESS, or FAILURE where some call has failed."""
        return st.SUCCESS if self.successful() else st.FAILURE

    status = state

    @at_border
    def get(self, timeout: Any = None, propagate: bool = True) -> list[Any]:
        """Return the values, or raise what the first that failed has raised."""
        return [one.get(propagate=propagate) for one in self.results]

    join = wait = get

    def ready(self) -> bool:
        """Return True."""
        return True

    def successful(self) -> bool:
        """Whether all have a result."""
        return all(one.successful() for one in self.results)

    def failed(self) -> bool:
        """Whether some call has raised."""
        return any(one.failed() for one in self.results)

    def completed_count(self) -> int:
        """Return the number of calls that have ended with a result."""
        return sum(one.successful() for one in self.results)


def run_here(compiled: Compiled, *, copied: bool = True) -> EagerResult | EagerGroup:
    """Run a workflow; returns what its result is.

    Args:
        copied: each attempt has a copy of its function, as on a worker.
    """
    return _Rehearsal(compiled, copied).run()


class _Rehearsal:
    def __init__(self, compiled: Compiled, copied: bool) -> None:
        self._copied = copied
        self._plan, self._steps = compiled.plan, compiled.steps
        self._ended: list[list[EagerResult]] = []

    def run(self) -> EagerResult | EagerGroup:
        for node, step in zip(self._plan.nodes, self._steps, strict=True):
            self._ended.append([self._call(node, step, index, call) for index, call in enumerate(step.calls)])
        if not self._plan.of_many:
            return self._at(self._plan.result)[0]
        return self._group(self._plan.result)

    def _group(self, values: Values) -> EagerGroup:
        results: list[Any] = [
            one
            for part in values
            for one in (self._at((part,)) if isinstance(part, CallRange) else [self._group(part)])
        ]
        return EagerGroup(results, results[0].parent if results else None)

    def _at(self, values: Values) -> list[EagerResult]:
        return [
            one
            for part in ranges_of(values)
            for one in self._ended[part.node][part.first : part.first + part.count]
        ]

    def _needed(self, edge: Edge, index: int) -> list[EagerResult]:
        needed = self._at(edge.of)
        return [needed[index]] if edge.each else needed

    def _call(self, node: Node, step: Step, index: int, call: Call) -> EagerResult:
        handed = self._handed(node, index)
        if isinstance(handed, BaseException):
            state = st.REVOKED if isinstance(handed, NotNeeded) else st.FAILURE
            ended: EagerResult = EagerResult(new_id(), step.task.name, state, lambda: handed, None, 0.0)
        else:
            args, kwargs = call
            ended = eager.apply_here(step.task, (*handed, *args), kwargs, copied=self._copied)
        ended.parent = self._parent(node, index)
        return ended

    def _handed(self, node: Node, index: int) -> list[Any] | BaseException:
        """Return what edges hand on to a call, or why it does not run."""
        handed: list[Any] = []
        for edge in node.ins:
            needed = self._needed(edge, index)
            bad = [one for one in needed if not one.successful()]
            if node.is_errback:
                # What was not needed itself has not failed.
                bad = [one for one in bad if not isinstance(one.result, NotNeeded)]
                return (
                    _told(edge, bad[0])
                    if bad
                    else NotNeeded("not needed: what it was to run after has succeeded")
                )
            if bad:
                return _why(edge, bad[0])
            handed += self._values(edge, needed)
        return handed

    def _parent(self, node: Node, index: int) -> Any:
        if not node.ins:
            return None
        needed = self._needed(node.ins[0], index)
        return needed[0] if len(needed) == 1 and node.ins[0].kind != "list" else self._group(node.ins[0].of)

    def _values(self, edge: Edge, needed: list[EagerResult]) -> list[Any]:
        if edge.kind == "after":
            return []
        return [needed[0].result] if edge.kind == "one" else [self._list(edge.of)]

    def _list(self, values: Values) -> list[Any]:
        found: list[Any] = []
        for part in values:
            if isinstance(part, CallRange):
                found += [one.result for one in self._at((part,))]
            else:
                found.append(self._list(part))
        return found


def _why(edge: Edge, bad: EagerResult) -> BaseException:
    """Return why a call does not run."""
    many = edge.kind == "list" or (not edge.each and sum(part.count for part in ranges_of(edge.of)) > 1)
    error: BaseException = bad.result
    if not many or isinstance(error, ChordError | NotNeeded):
        return error
    made = ChordError(f"Dependency {bad.id} raised {error!r}", "", bad.id)
    made.__cause__ = error
    return made


def _told(edge: Edge, bad: EagerResult) -> list[Any]:
    if edge.kind == "error-call":
        return [CurrentCall(id=bad.id, name=bad.name, is_eager=True), bad.result, bad.traceback]
    return [bad.id] if edge.kind == "error-id" else []
