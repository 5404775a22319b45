"""Batches of one workflow: which of them wait for which, and what is kept of each until all have ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.core import states as st
from nbtasks.core.plan import ranges_of
from nbtasks.core.ranges import runs

if TYPE_CHECKING:
    from nbtasks.core.plan import Node, Plan
    from nbtasks.wire.values import BlobPiece
    from nbtasks.wire.workflowrecord import WorkflowRecord

_OPEN = bytes(code < st.FIRST_READY_CODE for code in range(256))


class SubmittedWorkflow:
    """A workflow that this process has submitted. As long as one of its batches is held, all are.

    Args:
        record: as the broker has it.
        frame: that, sealed.
        ledgers: the batch of each node, a Ledger, which knows this.

    Attributes:
        steps: the place of each of them.
    """

    def __init__(self, record: WorkflowRecord, frame: bytes, ledgers: Sequence[Any]) -> None:
        self.record = record
        self.frame = frame
        self.ledgers = list(ledgers)
        followers = record.plan.followers
        #: Its calls as one run, made when somebody wants to see them.
        self.shown: Any = None
        #: Place of a batch that has ended -> whether its calls have succeeded.
        self.settled: dict[int, bool] = {}
        self.steps = [WorkflowStep(self, place, followers[place]) for place in range(len(ledgers))]
        #: Without those that were submitted before it.
        self.own_steps = [one for one in self.steps if not one.node.earlier]
        self.own = [self.ledgers[one.place] for one in self.own_steps]

    @property
    def id(self) -> str:
        """Its id; that of its batches are others."""
        return self.record.id

    @property
    def plan(self) -> Plan:
        """Which node needs what."""
        return self.record.plan

    @property
    def all_ended(self) -> bool:
        """Whether no call is left that has not ended."""
        return all(ledger.all_ended for ledger in self.ledgers)


def step_of(batch: Any) -> WorkflowStep | None:
    """Return the step of a workflow that a batch is; None where it is none, or that is not known here."""
    parcel = batch.parcel
    found: WorkflowStep | None = batch.origin.step if parcel is None else parcel.step
    return found


class WorkflowStep:
    """A batch as a part of its workflow.

    Args:
        followers: places of the batches that wait for it.

    Attributes:
        size: calls of each of its chunks, where they follow those of another batch one by one; else 0.
        delay_ms: to wait when it is released.
    """

    def __init__(self, workflow: SubmittedWorkflow, place: int, followers: Sequence[int]) -> None:
        self.workflow = workflow
        self.place = place
        self.followers = followers
        self.size = 0
        self.delay_ms = 0

    @property
    def node(self) -> Node:
        """What it needs."""
        return self.workflow.plan.nodes[self.place]

    @property
    def before(self) -> list[Any]:
        """The batches that it waits for."""
        return [self.workflow.ledgers[place] for place in self.node.waits_for]

    @property
    def after(self) -> list[WorkflowStep]:
        """Those that wait for it."""
        return [self.workflow.steps[place] for place in self.followers]

    @property
    def first_before(self) -> int:
        """Index of the first call that it waits for, in the first of these batches."""
        return next((part.first for edge in self.node.ins for part in ranges_of(edge.of)), 0)

    @property
    def earlier(self) -> list[tuple[Any, int, int]]:
        """Calls that were submitted before the workflow and that it waits for: (batch, first, count)."""
        found: dict[int, set[int]] = {}
        for edge in self.node.ins:
            for part in ranges_of(edge.of):
                if self.workflow.plan.nodes[part.node].earlier:
                    found.setdefault(part.node, set()).update(range(part.first, part.first + part.count))
        ledgers = self.workflow.ledgers
        return [(ledgers[node], *piece) for node, calls in found.items() for piece in runs(sorted(calls))]

    def _have_ended(self) -> bool:
        """Whether all that it waits for has ended."""
        nodes = self.workflow.plan.nodes
        own = [self.workflow.ledgers[place] for place in self.node.waits_for if not nodes[place].earlier]
        return all(one.all_ended for one in own) and all(
            min(batch.own_states[first : first + count], default=0) >= st.FIRST_READY_CODE
            for batch, first, count in self.earlier
        )

    @property
    def follows_each(self) -> bool:
        """Whether its calls follow those of another batch one by one."""
        return self.node.each_of is not None

    def waiting(self, first: int, count: int) -> list[int]:
        """Return those of ``count`` calls from ``first`` on that wait for calls before them, as far as is known."""
        calls = range(first, first + count)
        if not self.node.ins:
            return []
        if self.follows_each:
            states = self.before[0].own_states
            return [index for index in calls if states[index] < st.FIRST_READY_CODE]
        return [] if self._have_ended() else list(calls)

    @property
    def is_waiting(self) -> bool:
        """Whether all of its calls that have not ended wait for others."""
        if not self.node.ins:
            return False
        if self.follows_each:
            its, own = self.before[0].own_states, self.workflow.ledgers[self.place].own_states
            mine, theirs = own.translate(_OPEN), its.translate(_OPEN)
            return not int.from_bytes(mine, "little") & ~int.from_bytes(theirs, "little")
        return not self._have_ended()

    @property
    def is_after_failure(self) -> bool:
        """Whether something that it waits for has failed or was revoked."""
        return any(one.failed_count or one.revoked_count for one in self.before)

    # -- what was sent is kept until the workflow has ended: the broker may lose what later steps need

    def settle(self, succeeded: bool) -> None:
        """All of its calls have ended."""
        settled = self.workflow.settled
        settled[self.place] = succeeded
        if len(settled) == len(self.workflow.own):
            for ledger, one in zip(self.workflow.own, self.workflow.own_steps, strict=True):
                if ledger.parcel is not None:
                    ledger.parcel.let_go(settled[one.place])

    def take_spent(self) -> Iterator[BlobPiece]:
        """Yield large arguments of all batches that nobody needs any more, once."""
        over = len(self.workflow.settled) == len(self.workflow.own)
        for ledger in self.workflow.own if over else ():
            if ledger.parcel is not None:
                yield from ledger.parcel.take_own_spent()
