"""The stream of events of a namespace: what every process notes there, read in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.eventlog import EventEntry, begun_anew

from .sqlhousekeeping import TRIMMED
from .sqlstore import named

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

_MOST_AT_ONCE = 100
#: So many numbers before the last one are looked at again, where what has an earlier one may be committed later.
_OVERLAP = 500


class SqlEventLog:
    """Reads the stream from some place on.

    Attributes:
        behind: whether there is more to read, as far as the last read has shown.
        missed: how many entries were dropped before they were read; what is known of that.
    """

    def __init__(self, line: SqlLink) -> None:
        self._line = line
        self.behind = False
        self.missed = 0
        self._overlap = 0 if line.dialect.in_order else _OVERLAP
        #: When this began, and since when it is read (ms); the last number that was read, and those that were lately.
        self._began = self._since = 0
        self._after = 0
        self._seen: set[int] = set()
        #: The last entry that was read, or was there, and when it was told (ms); (0, 0) where that is none.
        self._last = 0, 0
        #: The last one that may be missed; what was dropped before somebody began to read is not.
        self._follows = False

    def begin_now(self) -> None:
        """Read what comes from now on."""
        self._began, recent = self._line.read(last_happened)
        self._last = max(recent, default=(0, 0))
        self._after = self._last[0]
        self._since, self._seen, self._follows = 0, {number for number, _ in recent}, True

    def begin_at(self, moment: float) -> None:
        """Read what was noted since a moment of the server's time, in epoch seconds; 0: all that there is."""
        self._began = self._since = max(0, round(moment * 1000))
        self._after, self._seen, self._last, self._follows = 0, set(), (0, 0), False

    def read(self, block_s: float) -> list[EventEntry]:
        """Return the next entries; none where none came in time."""
        until = time.monotonic() + min(block_s, self._line.block_s)
        return self._line.wait_for(self._look, until)

    def _look(self) -> list[EventEntry]:
        # With the last one that was read.
        begin, most = self._after - self._overlap - 1, _MOST_AT_ONCE + self._overlap + 1
        rows, trimmed = self._line.read(read_happened, self._since, begin, most)
        number, _ = self._last
        if trimmed < number and self._last not in {(row[0], row[1]) for row in rows}:
            # The database was put back to an older state.
            began = self._began
            self.begin_at(begun_anew(began, self._line.read(lambda tx: tx.now_ms())) / 1000)
            self._began = began
            return self._look()
        if self._follows and trimmed > self._after:
            self.missed += trimmed - self._after
            self._after = trimmed
        new = [row for row in rows if row[0] not in self._seen][:_MOST_AT_ONCE]
        self.behind = len(new) >= _MOST_AT_ONCE
        found = []
        for number, at, name, wins, frame in new:
            self._after, self._follows = max(self._after, number), True
            self._last = max(self._last, (number, at))
            self._seen.add(number)
            parts = [(name.encode(), frame), *([(b"w", wins.encode())] if wins else [])]
            found.append(EventEntry(at / 1000, tuple(parts)))
        self._seen = {number for number in self._seen if number >= self._after - self._overlap}
        return found

    def label(self, batch: str) -> bytes | None:
        """Return the label of a batch; None where there is none."""
        rows = self._line.read(named, [batch])
        return rows[0][1] if rows else None


def last_happened(tx: Transaction) -> tuple[int, list[Row]]:
    """Return the time (ms), and number and moment of the last things that have happened."""
    statement = "SELECT id, told FROM @happened WHERE ns = ? ORDER BY id DESC LIMIT ?"
    return tx.now_ms(), [tuple(row) for row in tx.rows(statement, tx.ns, _OVERLAP)]


def read_happened(tx: Transaction, since: int, after: int, most: int) -> tuple[list[Row], int]:
    """Return what has happened since a moment, behind a number; and the last number that was dropped."""
    rows = tx.rows(
        "SELECT id, told, name, wins, frame FROM @happened WHERE ns = ? AND id > ? AND told >= ? ORDER BY id LIMIT ?",
        *(tx.ns, after, since, most),
    )
    return rows, int(tx.fact(TRIMMED) or 0)
