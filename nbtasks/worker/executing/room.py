"""How many calls an event loop takes at once: more while it has time left, fewer while it has none.

A coroutine that waits costs nothing, so many may run at once. Those that have much to do between two waits only slow
each other down: of httpx, for one, a hundred requests at once take longer than four times twenty-five.
"""

from __future__ import annotations

import selectors
import time
from typing import Any

from nbtasks.worker.isolation.copies import leave_copy

#: Calls at once in the beginning, and the least.
FIRST, LEAST = 25, 8
#: Share of its time that a loop waits for something to do: below the first it has no time left, above the second it
#: has.
_NONE_LEFT, _SOME_LEFT = 0.1, 0.3


_CANNOT_WAIT = RuntimeError("a forked copy of a coroutine cannot await: fork in a task without async")


class Room:
    """Slots of one loop.

    Args:
        most: calls at once.

    Attributes:
        slots: how many calls the loop takes at once for now. What runs already is not touched.
    """

    def __init__(self, most: int) -> None:
        self.slots = min(FIRST, most)
        self._most = most
        self._busy_before = False
        self._was_busy = False

    def note(self, idle_share: float, running: int) -> bool:
        """Take note of the share of its time that the loop had nothing to do; returns whether it takes more calls now.

        Args:
            running: calls that run there.
        """
        # Once it may be because many calls have ended at the same time.
        busy = idle_share < _NONE_LEFT
        lasts, self._busy_before = busy and self._busy_before, busy
        if lasts and running <= self.slots:
            self._was_busy = True
            self.slots = max(LEAST, self.slots * 3 // 4)
        elif idle_share > _SOME_LEFT and self.slots <= running and self.slots < self._most:
            more = max(1, self.slots // 8) if self._was_busy else self.slots
            self.slots = min(self._most, self.slots + more)
            return True
        return False


class IdleClock(selectors.DefaultSelector):
    """A loop's selector that knows how long it has waited, in seconds, and since when that was asked.

    Attributes:
        rounds: how often the loop has come round.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        self._asked_at = time.perf_counter()
        self._idle_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait as any selector does."""
        self.rounds += 1
        # What it waits for comes to the process, and there it belongs to other calls.
        leave_copy(_CANNOT_WAIT)
        began = time.perf_counter()
        found = super().select(timeout)
        self._idle_s += time.perf_counter() - began
        return found

    def idle_share(self) -> float:
        """Return the share of the time that was waited since this was asked last."""
        now = time.perf_counter()
        share = self._idle_s / max(1e-9, now - self._asked_at)
        self._asked_at, self._idle_s = now, 0.0
        return share
