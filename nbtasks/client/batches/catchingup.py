"""Revokes of a loop go to the workers together, a moment later: who asks for a state before that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtasks.core import states as st

if TYPE_CHECKING:
    from .ledger import Ledger


def caught_up(batch: Ledger) -> Ledger:
    """Return a batch when all has been done that was asked for."""
    line: Any = batch.revoked.line
    if line is not None:
        line.wait()
    return batch


def is_over(batch: Ledger, index: int) -> bool:
    """Whether a call has ended, or nobody will tell, as far as it is known now."""
    return batch.states[index] >= st.FIRST_READY_CODE or batch.problem is not None
