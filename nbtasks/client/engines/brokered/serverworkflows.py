"""Submits and revokes workflows: batches that wait for each other, and that the server queues one after another."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nbtasks.client.batches.steps import SubmittedWorkflow, WorkflowStep
from nbtasks.client.submitting.shipping import Along, ship
from nbtasks.core.errors import UnknownCall
from nbtasks.core.ids import new_id
from nbtasks.wire.modules.manifest import Needs
from nbtasks.wire.workflowrecord import WorkflowRecord

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.parcel import Parcel
    from nbtasks.client.batches.sent import Sent
    from nbtasks.core.plan import Plan
    from nbtasks.core.stopsignal import Terminate

    from .session import Session

#: Calls of a chunk whose calls are queued one by one, each with the whole chunk, and the bytes of such a chunk.
_EACH_CALLS, _EACH_BYTES = 64, 4096
#: Seconds within which it is known here what has just been told.
_KNOWN_S = 0.5
_WITH_VALUES = frozenset({"one", "list"})

#: A node: its batch, its parcel, and the payload of each call.
Prepared = tuple["Ledger", "Parcel", Sequence[bytes]]


class ServerWorkflows:
    """The workflows of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(
        self, plan: Plan, nodes: Sequence[Prepared], earlier: Sequence[Ledger] = ()
    ) -> SubmittedWorkflow:
        """Submit a workflow, those batches first that wait for others: nothing ends before what waits for it is known.

        Args:
            nodes: those of the plan, but for the first ones.
            earlier: these, which were submitted before.

        Raises:
            BrokerUnavailable, BackPressure: nothing was submitted.
        """
        session = self._session
        own = [batch for batch, _, _ in nodes]
        ledgers = [*earlier, *own]
        record = WorkflowRecord(
            new_id(),
            plan,
            tuple(batch.id for batch in ledgers),
            tuple(batch.origin.single for batch in ledgers),
            tuple(batch.name for batch in ledgers),
        )
        workflow = SubmittedWorkflow(record, session.codec.seal_plan(record), ledgers)
        sealed = list(self._sealed(workflow, nodes))
        for batch in reversed(own):
            batch.origin.workflow = workflow.id
            session.registry.add(batch)
        session.sender.send_together(
            [(batch, parcel, sent) for (batch, parcel, _), sent in zip(nodes, sealed, strict=True)][::-1]
        )
        return workflow

    def _sealed(self, workflow: SubmittedWorkflow, nodes: Sequence[Prepared]) -> Iterator[list[Sent]]:
        """Yield the chunks of each node."""
        needs: list[Needs] = []
        parcels: list[Parcel | None] = [batch.parcel for batch in workflow.ledgers]
        for parcel in parcels[: -len(nodes)]:
            known = Needs() if parcel is None else parcel.needs
            needs.append(Needs(set(known.modules), set(known.codes)))
        for step, (batch, parcel, payloads) in zip(workflow.own_steps, nodes, strict=True):
            self._ship(parcel)
            own = Needs(set(parcel.needs.modules), set(parcel.needs.codes))
            for place in step.node.waits_for:
                _add_needs(own, needs[place], parcels[place])
            needs.append(own)
            parcel.step = step
            later = [workflow.ledgers[place].parcel for place in step.followers]
            self._set_options(step, parcel, later)
            if step.node.ins:
                parcel.due_ms, step.delay_ms = 0, round(parcel.options.delay_s * 1000)
                # When it may start, nobody knows yet.
                batch.origin.eta_at = None
            yield self._chunks(step, batch, parcel, payloads, own)

    def _ship(self, parcel: Parcel) -> None:
        session = self._session
        parcel.function, parcel.frame = ship(session.codec, session.home, parcel.task)
        parcel.as_sent = parcel.task.shipped
        parcel.due_ms = session.sealing.due_ms(parcel.options)

    def _set_options(self, step: WorkflowStep, parcel: Parcel, later: Iterable[Parcel]) -> None:
        """Put into the header of a node's calls what they need, and that others need their values."""
        header = parcel.options.header
        asking = [
            one
            for one, after in zip(later, step.after, strict=True)
            if any(edge.kind in _WITH_VALUES for edge in after.node.ins)
        ]
        shared = all(self._session.roster.share_files(one.options.task.queue) for one in asking)
        header = dataclasses.replace(
            header,
            inputs=step.workflow.record.inputs[step.place],
            root=self._root(step),
            keeps_value=bool(asking),
            place=header.place if shared else "",
            # A countdown of a later step begins when the one before it has ended.
            eta_at=None if step.node.ins else header.eta_at,
        )
        parcel.options = dataclasses.replace(parcel.options, header=header)

    def _root(self, step: WorkflowStep) -> str:
        """Return the id of the call with which what leads to a step begins, as a header has it."""
        if not step.node.ins or not step.before:
            return ""
        first = step.before[0]
        root: str = "" if first.parcel is None else first.parcel.options.header.root
        if not root:
            root = (
                first.call_id(step.first_before)
                if first.origin.single or not step.follows_each
                else f"{first.id}:"
            )
        return f"{root}0" if root.endswith(":") and not step.follows_each else root

    def _chunks(
        self, step: WorkflowStep, batch: Ledger, parcel: Parcel, payloads: Sequence[bytes], needs: Needs
    ) -> list[Sent]:
        sealing = self._session.sealing
        parts: Iterable[list[bytes]]
        if step.follows_each:
            longest = max(map(len, payloads))
            most = 1 if parcel.options.task.is_locked else _EACH_CALLS
            step.size = max(1, min(most, _EACH_BYTES // max(1, longest)))
            size = step.size
            parts = [list(payloads[start : start + size]) for start in range(0, len(payloads), size)]
        else:
            parts = sealing.cut(batch, parcel, payloads, batch.n)
        along = Along(self._session.codec, parcel.task, needs)
        return sealing.sealed(batch, parcel, parts, 0, along)

    def record_of(self, batch: Ledger) -> WorkflowRecord | None:
        """Return the workflow that a batch is a part of, whoever has submitted it; None where it is in none.

        Raises:
            SignatureMismatch: what the broker has of it is not signed with a key of ours.
        """
        if batch.parcel is not None and batch.parcel.step is not None:
            return batch.parcel.step.workflow.record
        if not batch.origin.workflow:
            return None
        frame = self._session.store.plan(batch.origin.workflow)
        return None if frame is None else self._session.codec.open_plan(frame, batch.origin.workflow)

    def revoke_of(self, batch: Ledger, terminate: Terminate) -> None:
        """Revoke all calls that have not ended of the workflow that a batch is a part of, whoever has submitted it."""
        if batch.parcel is not None and batch.parcel.step is not None:
            self._revoke(batch.parcel.step.workflow, terminate)
            return
        record = self.record_of(batch)
        for name in [batch.id] if record is None else reversed(record.own_batches):
            one = batch if name == batch.id else self._session.adoption.adopt(name)
            if not one.all_ended:
                one.revoke(terminate)

    def end_what_cannot_run(self, workflow: SubmittedWorkflow) -> None:
        """See to it that all of a workflow has ended that waits for what has failed, and that this is known here."""
        session = self._session
        session.flush()
        if any(one.failed_count or one.revoked_count for one in workflow.ledgers):
            session.revoking.pass_on(workflow.record)
        for batch in workflow.own:
            if not batch.all_ended:
                session.intake.refresh(batch)

    def revoke_stand_ins(self, batch: Ledger, index: int, terminate: Terminate) -> None:
        """Revoke what has taken the place of revoked calls, as far as that is known here."""
        for name in batch.revoked.stand_ins_of(index):
            with contextlib.suppress(UnknownCall):
                self.revoke_of(self._session.adoption.adopt(name), terminate)

    def _revoke(self, workflow: SubmittedWorkflow, terminate: Terminate) -> None:
        """Revoke what waits for others first: what it waits for does not release it any more."""
        session = self._session
        session.flush()
        waiting = [
            batch
            for step, batch in zip(workflow.own_steps, workflow.own, strict=True)
            if step.is_waiting and not batch.all_ended
        ]
        for batch in reversed(waiting):
            session.revoking.end_waiting(batch)
        if waiting:
            waiting[0].wait_for(lambda: all(batch.all_ended for batch in waiting), _KNOWN_S)
        for batch in reversed(workflow.own):
            if not batch.all_ended:
                session.revoking.revoke(batch, -1, terminate, pass_on=False)
                self.revoke_stand_ins(batch, -1, terminate)
        # What was submitted again is a workflow of its own.
        open_again = [
            repair.again
            for batch in workflow.own
            if batch.repairs is not None
            for repair in batch.repairs.open(batch.states)
        ]
        for one in dict.fromkeys(open_again):
            if not one.all_ended:
                self.revoke_of(one, terminate)


def _add_needs(own: Needs, before: Needs, parcel: Parcel | None) -> None:
    """Values may be of classes of all modules that calls before have, and travel on."""
    own.modules |= before.modules
    own.codes |= before.codes
    # Of what another process has submitted, or has ended long ago, nobody knows here.
    sent = None if parcel is None else parcel.as_sent or parcel.task.shipped
    if sent is not None:
        own.modules |= set(sent.sealed.manifest.modules)
