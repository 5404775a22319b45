"""The stream of events of a namespace: what every process notes there, read in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.eventlog import EventEntry, begun_anew

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_AT_ONCE = 100
#: Seconds after something was read in which nobody is to wake this reader: else each call would do so, one by one.
_REST_S = 0.1


class PgEventLog:
    """Reads the stream from some place on: what the last snapshot has not had, each entry once.

    Attributes:
        behind: whether there is more to read, as far as the last read has shown.
        missed: how many entries were dropped before they were read.
    """

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self.behind = False
        self.missed = 0
        #: Since when (ms); the snapshot of what was read, and the one up to which it is read now.
        self._since = 0
        self._seen = ""
        self._upto: str | None = None
        #: Transaction and number of the last entry that was read since the first snapshot.
        self._last = ("0", 0)
        #: How many entries there have been up to here, of those of which anybody knows.
        self._passed = 0
        self._read_at = float("-inf")
        #: When this began (ms), and the server that the snapshots are of.
        self._began, self._server = 0, ""

    def begin_now(self) -> None:
        """Read what comes from now on."""
        self._begin(None)

    def begin_at(self, moment: float) -> None:
        """Read what was noted since a moment of the server's time, in epoch seconds; 0: all that there is."""
        self._begin(max(0, round(moment * 1000)))

    def _begin(self, since: int | None) -> None:
        self._seen, self._passed, now = self._line.rows("begin_happened", since)[0]
        self._since, self._upto, self._last = since or 0, None, ("0", 0)
        self._began, self._server = now if since is None else since, self._line.server

    def read(self, block_s: float) -> list[EventEntry]:
        """Return the next entries; none where none came in time."""
        end = time.monotonic() + min(block_s, self._line.block_s)
        found = self._look(lies_down=False)
        looks = 0
        while not found and (left_s := end - time.monotonic()) > 0:
            rest_s = self._read_at + _REST_S - time.monotonic()
            if rest_s > 0:
                time.sleep(min(rest_s, left_s))
                found = self._look(lies_down=False)
                continue
            found = self._look(lies_down=True)
            if not found:
                self._line.wait_to_be_told(min(self._line.look_again_s, end - time.monotonic()), looks)
                looks += 1
                found = self._look(lies_down=False)
        if found:
            self._read_at = time.monotonic()
        return found

    def _look(self, *, lies_down: bool) -> list[EventEntry]:
        channel = self._line.lying_down() if lies_down else None
        if not self._seen:
            self._begin(self._since)
        rows = self._line.rows(
            "read_happened", self._since, self._seen, self._upto, *self._last, _MOST_AT_ONCE, channel
        )
        if rows[0][0] is None or self._server != self._line.server:
            self._begin_anew()
            return self._look(lies_down=lies_down)
        found = []
        for _, _, xid, number, at, name, wins, frame in rows:
            if number is not None:
                self._last = xid, number
                parts = [(name.encode(), frame), *([(b"w", wins.encode())] if wins else [])]
                found.append(EventEntry(at / 1000, tuple(parts)))
        upto, dropped = rows[0][:2]
        # What is dropped is the oldest: where that is more than was passed, the rest of it was not read.
        lost = max(0, dropped - self._passed)
        self.missed += lost
        self._passed += lost + len(found)
        self.behind = len(found) >= _MOST_AT_ONCE
        if self.behind:
            self._upto = upto
        else:
            self._seen, self._upto, self._last = upto, None, ("0", 0)
        return found

    def _begin_anew(self) -> None:
        """The server is another one, or was put back."""
        *_, now = self._line.rows("begin_happened", 0)[0]
        self._begin(begun_anew(self._began, now))

    def label(self, batch: str) -> bytes | None:
        """Return the label of a batch; None where there is none."""
        rows = self._line.rows("batches_named", [batch])
        return rows[0][1] if rows else None
