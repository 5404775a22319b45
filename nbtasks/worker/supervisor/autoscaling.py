"""As many children as there is work for, within bounds."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import BUSY, CONCURRENT, STARTING

#: Seconds for which all children must be busy before there is one more.
_BUSY_S = 0.5
#: Seconds for which one must have been idle before it goes, and between two that go.
_IDLE_S = 10.0


class Autoscaling:
    """Watches the children of one worker.

    Attributes:
        most, least: bounds; it does nothing where the first is 0.
    """

    def __init__(self, most: int, least: int) -> None:
        self.most, self.least = most, least
        #: Since when all have been busy, or one has been idle (monotonic).
        self._busy_since: float | None = None
        self._idle_since: float | None = None

    def set(self, most: int, least: int) -> None:
        """Have other bounds."""
        self.most, self.least = most, least
        self._busy_since = self._idle_since = None

    def wanted(self, seats: Sequence[Seat], now: float) -> int:
        """Return how many children there shall be.

        Args:
            seats: of those that there are.
        """
        n = len(seats)
        if not self.most:
            return n
        states = [seat.slot.status()[1] for seat in seats]
        busy = all(state in {BUSY, CONCURRENT} for state in states)
        idle = not busy and STARTING not in states
        self._busy_since = (self._busy_since or now) if busy else None
        self._idle_since = (self._idle_since or now) if idle else None
        if self._busy_since is not None and now - self._busy_since >= _BUSY_S:
            self._busy_since = now
            n += 1
        elif self._idle_since is not None and now - self._idle_since >= _IDLE_S:
            self._idle_since = now
            n -= 1
        return max(self.least, min(self.most, n))
