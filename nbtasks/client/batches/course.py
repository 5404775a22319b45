"""How a call has gone so far: its attempts and when they ran. Times are local epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.core import states as st

from .tries import Attempt

if TYPE_CHECKING:
    from nbtasks.wire.record import Record

    from .loosecalls import Run


@dataclass(frozen=True)
class Course:
    """How one call has gone.

    Attributes:
        queued_at: since when it could have begun.
        attempts: oldest first. The last one runs, has ended, or waits to be followed.
    """

    queued_at: float
    attempts: tuple[Attempt, ...]

    @property
    def last(self) -> Attempt | None:
        """The attempt that runs, or that was the last one."""
        return self.attempts[-1] if self.attempts else None

    @property
    def queued_s(self) -> float | None:
        """Seconds that it waited before it first began; None where that is not known."""
        first = self.attempts[0] if self.attempts else None
        if first is None or first.number != 1 or first.began_at is None:
            return None
        return max(0.0, first.began_at - self.queued_at)


def course_of(batch: Run, index: int) -> Course:
    """Return how a call has gone, as far as that was heard here.

    Of what another process has submitted, and of what was over when this one asked, earlier attempts are not known.
    """
    earlier = batch.tries.earlier(index)
    found, running = batch.record(index), batch.running.get(index)
    if found is not None:
        last = ended_attempt(batch, index, found[0])
        # It may have been revoked before it began.
        attempts = (*earlier, last) if last.worker else earlier
    elif running is not None:
        attempts = (
            *earlier,
            Attempt(running.attempt, running.worker, running.child, st.STARTED, running.started_at),
        )
    else:
        attempts = earlier
    return Course(max(batch.created_at, batch.origin.eta_at or 0.0), attempts)


def ended_attempt(batch: Run, index: int, record: Record) -> Attempt:
    """Return the attempt that a call has ended with."""
    seconds, began_at = float(record.seconds[index - record.first]), record.began_at(index)
    heard_at = batch.heard_at(index)
    ended_at = heard_at
    if began_at is not None and heard_at is not None:
        # Clocks of machines differ a little, and who tells may be wrong.
        began_at = min(max(began_at, batch.created_at), heard_at)
        ended_at = min(began_at + max(0.0, seconds), heard_at)
    return Attempt(
        record.attempt, record.worker, record.child, batch.state(index), began_at, ended_at, seconds
    )
