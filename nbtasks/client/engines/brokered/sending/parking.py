"""A batch of a workflow on its way to the broker: where it stands there, and which of its calls wait parked."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nbtasks.broker.verbs.flush import Flush, WorkflowPlace
from nbtasks.core.ranges import runs

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.parcel import Parcel
    from nbtasks.client.batches.sent import Sent
    from nbtasks.client.batches.steps import WorkflowStep
    from nbtasks.core.address import Address

#: Which calls of a workflow wait parked: all that need others; those alone whose others have not ended, as far as that
#: is known here; or none, for they were released.
Park = Literal["all", "open", "none"]


def write_place(flush: Flush, batch: Ledger, step: WorkflowStep, first_time: bool) -> None:
    """Record where a batch stands that was just recorded. The last one, which goes first, brings the plan.

    Args:
        first_time: the workflow was never sent before.
    """
    workflow, ids, nodes = step.workflow, step.workflow.record.batches, step.workflow.plan.nodes
    if step.place == len(ids) - 1:
        flush.plan(workflow.id, workflow.frame)
        if first_time:
            flush.incoming(workflow.id, all_there=False)
    each = [one for one in step.after if one.follows_each]
    place = WorkflowPlace(
        workflow.id,
        ()
        if step.follows_each
        else tuple(ids[place] for place in step.node.waits_for if not nodes[place].earlier),
        tuple(ids[one.place] for one in step.after if not one.follows_each),
        tuple((ids[one.place], one.size) for one in each),
        any(one.node.is_errback for one in step.after),
        tuple((one.id, first, count) for one, first, count in step.earlier),
    )
    flush.step(batch.id, place)


def write_chunks(
    flush: Flush,
    batch: Ledger,
    parcel: Parcel,
    address: Address,
    sent: Sequence[Sent],
    due_ms: int,
    park: Park,
) -> None:
    """Record chunks of a batch of a workflow.

    Args:
        park: which of them wait.
    """
    step = parcel.step
    assert step is not None
    for item in sent:
        waiting = step.waiting(item.first, item.count)
        if park != "open":
            waiting = (
                list(range(item.first, item.first + item.count)) if park == "all" and step.node.ins else []
            )
        if not waiting:
            flush.chunk(batch.id, address, item.lane, due_ms, item.first, item.count, item.frame)
            continue
        for first, count in runs(sorted(set(range(item.first, item.first + item.count)).difference(waiting))):
            flush.chunk(batch.id, address, item.lane, due_ms, first, count, item.frame)
        whole = _whole(parcel, item)
        flush.parked(batch.id, address, item.lane, step.delay_ms, whole.first, whole.count, item.frame)
    if sent and step.node.ins and not step.follows_each and sent[-1].first + sent[-1].count >= batch.n:
        flush.all_parked(batch.id)


def _whole(parcel: Parcel, item: Sent) -> Sent:
    """Return the chunk that an item is, or is a part of."""
    place = bisect.bisect_right(parcel.sent, item.first, key=lambda one: one.first) - 1
    return parcel.sent[place] if place >= 0 and parcel.sent[place].frame is item.frame else item
