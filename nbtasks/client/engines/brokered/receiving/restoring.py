"""A workflow that the broker has lost, told anew: as far as it is known here, nothing of it runs twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.ranges import runs

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.parcel import Parcel
    from nbtasks.client.batches.steps import SubmittedWorkflow
    from nbtasks.client.engines.brokered.sending.endings import Endings
    from nbtasks.client.engines.brokered.sending.sender import Sender

    from .intake import Intake


def restore(workflow: SubmittedWorkflow, sender: Sender, intake: Intake, endings: Endings) -> None:
    """Record all batches of a workflow again, those first that wait for others, and then how calls have ended."""
    for batch in reversed(workflow.own):
        sender.put_back(batch, batch.parcel, _open(batch, batch.parcel), recorded=False, park="all")
    sender.flush()
    for batch in workflow.own:
        if batch.finished_count:
            intake.put_back(batch, bytes(batch.n))
        for index in sorted(batch.revoked.running):
            batch.revoke(terminate=False, index=index)
    for batch in workflow.own:
        endings.counted(batch.id)


def _open(batch: Ledger, parcel: Parcel) -> list[tuple[int, int]]:
    """Return (first, count) of the calls that are to be run yet; of those that must not run twice only who waits.

    The others may have begun; whether they are lost, is looked at.
    """
    assert parcel.step is not None
    own = batch.own_states
    calls = range(batch.n) if parcel.options.task.acks_late else parcel.step.waiting(0, batch.n)
    return runs(index for index in calls if own[index] < st.FIRST_READY_CODE)
