"""What a handle knows of the workflow that its calls are a part of, where this process has submitted that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from nbtasks.client.batches.steps import step_of
from nbtasks.client.border import note
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.core import states as st
from nbtasks.core.errors import origin_of
from nbtasks.core.plan import CallRange, Plan, Values, ranges_of

from .handles import handle_of

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.steps import SubmittedWorkflow
    from nbtasks.core.stopsignal import Terminate


#: Steps that a reason names.
_MOST_SAID = 3


class Family:
    """What comes before some calls of a node, and what after them.

    Args:
        workflow: theirs.
        place: their node's.
        index: which call is meant; None: all of the node.
    """

    def __init__(self, workflow: SubmittedWorkflow, place: int, index: int | None) -> None:
        self._workflow = workflow
        self._place = place
        self._index = index

    @property
    def _plan(self) -> Plan:
        return self._workflow.plan

    @property
    def _ledgers(self) -> list[Ledger]:
        return self._workflow.ledgers

    @property
    def parent(self) -> Any:
        """The handle of what it waits for; None where it begins the workflow."""
        node = self._plan.nodes[self._place]
        if not node.ins:
            return None
        edge = node.ins[0]
        if not edge.each:
            many = edge.kind == "list" or sum(part.count for part in ranges_of(edge.of)) > 1
            return handle_of(self._ledgers, edge.of, of_many=many)
        before = next(ranges_of(edge.of)).node
        if self._index is None:
            # Each of its calls comes after one of another group: what they have in common is before those.
            return Family(self._workflow, before, None).parent
        return AsyncResult.of(self._ledgers[before], self._index)

    @property
    def children(self) -> list[Any]:
        """The handles of what waits for it."""
        found = []
        for place in self._workflow.steps[self._place].followers:
            node = self._plan.nodes[place]
            if node.each_of is not None and self._index is not None:
                found.append(AsyncResult.of(self._ledgers[place], self._index))
            elif any(self._is_in(edge.of) for edge in node.ins):
                found.append(_whole(self._ledgers[place]))
        return found

    def _is_in(self, values: Values) -> bool:
        return any(
            part.node == self._place
            and (self._index is None or part.first <= self._index < part.first + part.count)
            for part in ranges_of(values)
        )

    @property
    def steps(self) -> list[Any]:
        """The handles of the whole workflow, one for each step, in an order in which they can run."""
        return [_whole(ledger) for ledger in self._ledgers]

    @property
    def graph(self) -> WorkflowGraph:
        """Which of these waits for which."""
        return WorkflowGraph(self._plan, self.steps)

    @property
    def why_waiting(self) -> str | None:
        """What it waits for in its workflow; None where all of that has ended."""
        said = []
        for place in sorted(self._before() - {self._place}):
            ledger = self._ledgers[place]
            begun = all(self._ledgers[before].done for before in self._plan.nodes[place].waits_for)
            if begun and not ledger.done:
                bad = ledger.failed_count + ledger.revoked_count
                counts = f": {ledger.finished_count:,} of {ledger.n:,} done" if ledger.n > 1 else ""
                said.append(f"step {place + 1:,} ({ledger.name}){counts}{f', {bad:,} failed' if bad else ''}")
        more = f" and {len(said) - _MOST_SAID:,} more" if len(said) > _MOST_SAID else ""
        return f"waits for {', '.join(said[:_MOST_SAID])}{more}" if said else None

    def revoke_whole(self, terminate: Terminate) -> bool:
        """Revoke the whole workflow where the handle is that of its result; returns whether it is."""
        ledger = self._ledgers[self._place]
        whole = (
            CallRange(self._place, 0, ledger.n)
            if self._index is None
            else CallRange(self._place, self._index)
        )
        if self._plan.result != (whole,) or self._plan.of_many != (self._index is None):
            return False
        ledger.engine.revoke_workflow(ledger, terminate)  # type: ignore[attr-defined]
        return True

    def tell(self, error: BaseException) -> None:
        """Have an error say which step has failed, and what was not run therefore."""
        own = [place for place, node in enumerate(self._plan.nodes) if not node.is_errback]
        first = next((place for place in own if place in self._before() and self._has_failed(place)), None)
        if first is None or len(own) < 2:
            return
        later = len([place for place in self._plan.downstream(first) if place in own])
        rest = f"; {later:,} later step{'s were' if later > 1 else ' was'} not run" if later else ""
        said = f"step {own.index(first) + 1:,} of {len(own):,} ({self._ledgers[first].name}) failed{rest}"
        note(error, f"nbtasks: {said}")
        if origin_of(error) is not error:
            note(origin_of(error), f"nbtasks: {said}")

    def _before(self) -> set[int]:
        """Return its place, and those of all that it waits for."""
        found, left = {self._place}, [self._place]
        while left:
            for place in self._plan.nodes[left.pop()].waits_for:
                if place not in found:
                    found.add(place)
                    left.append(place)
        return found

    def _has_failed(self, place: int) -> bool:
        states = self._ledgers[place].states
        return st.FAILURE_CODE in states or st.REVOKED_CODE in states


class WorkflowGraph:
    """Which steps of a workflow wait for which.

    Attributes:
        steps: their handles, in an order in which they can run.
    """

    def __init__(self, plan: Plan, steps: list[Any]) -> None:
        self._plan = plan
        self.steps = steps

    def edges(self) -> list[tuple[Any, Any]]:
        """Return pairs of handles: the second one waits for the first one."""
        return [
            (self.steps[before], self.steps[place])
            for place, node in enumerate(self._plan.nodes)
            for before in node.waits_for
        ]

    def __repr__(self) -> str:
        return "\n".join(
            f"{place + 1:>3}  {_said(step)}  {step.state}"
            + (f"  after {_numbers(node.waits_for)}" if node.ins else "")
            for place, (node, step) in enumerate(zip(self._plan.nodes, self.steps, strict=True))
        )

    def to_dot(self, file: TextIO | None = None) -> str:
        """Return it in Graphviz's language; ``file`` gets it, too."""
        lines = [f'  "{step.id}" [label="{_said(step)}"]' for step in self.steps]
        lines += [f'  "{before.id}" -> "{after.id}"' for before, after in self.edges()]
        text = "\n".join(["digraph workflow {", *lines, "}", ""])
        if file is not None:
            file.write(text)
        return text


def _said(step: Any) -> str:
    return f"{step.name} x {len(step):,}" if isinstance(step, GroupResult) else str(step.name)


def _numbers(places: list[int]) -> str:
    return ", ".join(str(place + 1) for place in places)


def _whole(ledger: Ledger) -> Any:
    return GroupResult.of(ledger) if ledger.kind == "map" else AsyncResult.of(ledger, 0)


def family_of(handle: Any) -> Family:
    """Return the relatives of a handle that is one of a step of a workflow."""
    step = step_of(handle.batch)
    assert step is not None
    return Family(step.workflow, step.place, None if isinstance(handle, GroupResult) else handle.index)
