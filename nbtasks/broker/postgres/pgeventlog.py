"""The stream of events of a namespace: what every process notes there, read in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.eventlog import EventEntry

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_AT_ONCE = 100
#: So many numbers before the last one are looked at again: what has an earlier number may have been written later.
_OVERLAP = 500
#: Seconds between two looks of who waits.
_LOOK_S = 0.1


class PgEventLog:
    """Reads the stream from some place on.

    Attributes:
        behind: whether there is more to read, as far as the last read has shown.
        missed: how many entries were dropped before they were read; what is known of that.
    """

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self.behind = False
        self.missed = 0
        #: Since when (ms), and the last number that was read; and those that were read lately.
        self._since = 0
        self._after = 0
        self._seen: set[int] = set()

    def begin_now(self) -> None:
        """Read what comes from now on."""
        self._after, recent = self._line.rows("last_happened", _OVERLAP)[0]
        self._since, self._seen = 0, set(recent)

    def begin_at(self, moment: float) -> None:
        """Read what was noted since a moment of the server's time, in epoch seconds; 0: all that there is."""
        self._since, self._after, self._seen = max(0, round(moment * 1000)), 0, set()

    def read(self, block_s: float) -> list[EventEntry]:
        """Return the next entries; none where none came in time."""
        end = time.monotonic() + min(block_s, self._line.block_s)
        while True:
            found = self._look()
            if found or time.monotonic() >= end:
                return found
            time.sleep(_LOOK_S)

    def _look(self) -> list[EventEntry]:
        rows = self._line.rows(
            "read_happened", self._since, self._after - _OVERLAP, sorted(self._seen), _MOST_AT_ONCE
        )
        self.behind = len(rows) >= _MOST_AT_ONCE
        found = []
        for number, at, name, wins, frame in rows:
            self._after = max(self._after, number)
            self._seen.add(number)
            parts = [(name.encode(), frame), *([(b"w", wins.encode())] if wins else [])]
            found.append(EventEntry(at / 1000, tuple(parts)))
        self._seen = {number for number in self._seen if number > self._after - _OVERLAP}
        return found

    def label(self, batch: str) -> bytes | None:
        """Return the label of a batch; None where there is none."""
        rows = self._line.rows("batches_named", [batch])
        return rows[0][1] if rows else None
