"""Why no call of a batch may begin yet, whatever its engine: it is for later, or waits for its next attempt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.plaintext import on_one_line

from .steps import step_of

if TYPE_CHECKING:
    from .ledger import Ledger

_MOST_CHARACTERS = 300
#: Steps of a workflow that are named.
_MOST_STEPS = 3


def said_of_eta(batch: Ledger) -> str | None:
    """Return for when a batch is scheduled; None where its time has come."""
    eta = batch.origin.eta_at
    return f"scheduled for {said_of_moment(eta)}" if eta is not None and eta > time.time() else None


def said_of_next_try(batch: Ledger) -> str | None:
    """Return when the call that is tried again next is, and why; None where others wait that may begin."""
    due = batch.tries.due.copy()
    if not due or batch.states.count(st.PENDING_CODE):
        return None
    index = min(due, key=lambda one: due[one])
    earlier = batch.tries.earlier(index)
    error = on_one_line(earlier[-1].error, _MOST_CHARACTERS) if earlier else ""
    again = f"waits for its next attempt: again in {max(0.0, due[index] - time.time()):.0f} s"
    return f"{again}, after {error}" if error else again


def step_before(batch: Ledger, index: int | None) -> Ledger | None:
    """Return the batch that a step of a workflow waits for, or one call of it; None where it waits for none."""
    step = step_of(batch)
    if step is None or not (step.waiting(index, 1) if index is not None else step.is_waiting):
        return None
    return next((one for one in step.before if not one.all_ended), None)


def said_of_stand_ins(batch: Ledger, index: int | None) -> str | None:
    """Return which batches have taken the place of calls that wait for them; None where there are none."""
    open_ = [
        place
        for place in list(batch.revoked.stand_ins)
        if index in (None, place) and batch.states[place] < st.FIRST_READY_CODE
    ]
    names = [name for place in open_[:_MOST_STEPS] for name in batch.revoked.stand_ins[place]]
    if not names:
        return None
    more = f" and {len(names) - _MOST_STEPS:,} more" if len(names) > _MOST_STEPS else ""
    return f"waits for {', '.join(names[:_MOST_STEPS])}{more}: its task was replaced by that"


def said_of_steps(batch: Ledger) -> str:
    """Return which steps of its workflow a batch waits for, and how far these are."""
    step, said = step_of(batch), []
    assert step is not None
    for place, one in zip(step.node.waits_for, step.before, strict=True):
        if one.all_ended:
            continue
        bad = one.failed_count + one.revoked_count
        how_far = f": {one.finished_count:,} of {one.n:,} done" if one.n > 1 else ""
        said.append(f"step {place + 1:,} ({one.title}){how_far}{f', {bad:,} failed' if bad else ''}")
    more = f" and {len(said) - _MOST_STEPS:,} more" if len(said) > _MOST_STEPS else ""
    return f"waits for {', '.join(said[:_MOST_STEPS])}{more}"


def said_of_moment(at: float) -> str:
    """Return a time of today, or a date and a time."""
    local = time.localtime(at)
    today = time.localtime()[:3] == local[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", local)
