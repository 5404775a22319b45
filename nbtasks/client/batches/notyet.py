"""Why no call of a batch may begin yet, whatever its engine: it is for later, or waits for its next attempt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.plaintext import on_one_line

if TYPE_CHECKING:
    from .ledger import Ledger

_MOST_CHARACTERS = 300


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


def said_of_moment(at: float) -> str:
    """Return a time of today, or a date and a time."""
    local = time.localtime(at)
    today = time.localtime()[:3] == local[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", local)
