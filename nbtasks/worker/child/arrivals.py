"""How entries come: together, or one by one, so that it is of no use to look for more of them."""

from __future__ import annotations

import time

#: An entry that comes sooner than this was there already; and for so long it is believed that they come one by one.
_AFTER_S = 0.000_2
_FOR_S = 0.002


class Arrivals:
    """As one child has seen them.

    Attributes:
        one_by_one: the last wait was for an entry that was not there yet: others are not likely to wait behind it.
    """

    def __init__(self) -> None:
        self.one_by_one = False
        self._came_at = 0.0

    def look(self) -> bool:
        """Return whether they come one by one, still: behind a call that took a while others may wait."""
        self.one_by_one = self.one_by_one and time.monotonic() - self._came_at < _FOR_S
        return self.one_by_one

    def forget(self) -> bool:
        """Return whether they came one by one; until the next has come, that is not known."""
        before, self.one_by_one = self.one_by_one, False
        return before

    def note(self, began: float, alone: bool) -> None:
        """The wait that began then (monotonic) is over.

        Args:
            alone: the calls of this process run in its main thread.
        """
        self._came_at = time.monotonic()
        self.one_by_one = alone and self._came_at - began > _AFTER_S
