"""The stream of events of a namespace: what every process notes there, read in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.eventlog import EventEntry

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
        #: Since when (ms), and the last number that was read; and those that were read lately.
        self._since = 0
        self._after = 0
        self._seen: set[int] = set()
        #: The last one that may be missed; what was dropped before somebody began to read is not.
        self._follows = False

    def begin_now(self) -> None:
        """Read what comes from now on."""
        recent = self._line.read(last_happened)
        self._after = max(recent, default=0)
        self._since, self._seen, self._follows = 0, set(recent), True

    def begin_at(self, moment: float) -> None:
        """Read what was noted since a moment of the server's time, in epoch seconds; 0: all that there is."""
        self._since, self._after, self._seen = max(0, round(moment * 1000)), 0, set()
        self._follows = False

    def read(self, block_s: float) -> list[EventEntry]:
        """Return the next entries; none where none came in time."""
        until = time.monotonic() + min(block_s, self._line.block_s)
        return self._line.wait_for(self._look, until)

    def _look(self) -> list[EventEntry]:
        begin = self._after - self._overlap
        rows, trimmed = self._line.read(read_happened, self._since, begin, _MOST_AT_ONCE + self._overlap)
        if self._follows and trimmed > self._after:
            self.missed += trimmed - self._after
            self._after = trimmed
        new = [row for row in rows if row[0] not in self._seen][:_MOST_AT_ONCE]
        self.behind = len(new) >= _MOST_AT_ONCE
        found = []
        for number, at, name, wins, frame in new:
            self._after, self._follows = max(self._after, number), True
            self._seen.add(number)
            parts = [(name.encode(), frame), *([(b"w", wins.encode())] if wins else [])]
            found.append(EventEntry(at / 1000, tuple(parts)))
        self._seen = {number for number in self._seen if number > self._after - self._overlap}
        return found

    def label(self, batch: str) -> bytes | None:
        """Return the label of a batch; None where there is none."""
        rows = self._line.read(named, [batch])
        return rows[0][1] if rows else None


def last_happened(tx: Transaction) -> list[int]:
    """Return the numbers of the last things that have happened."""
    statement = "SELECT id FROM @happened WHERE ns = ? ORDER BY id DESC LIMIT ?"
    return [number for (number,) in tx.rows(statement, tx.ns, _OVERLAP)]


def read_happened(tx: Transaction, since: int, after: int, most: int) -> tuple[list[Row], int]:
    """Return what has happened since a moment, behind a number; and the last number that was dropped."""
    rows = tx.rows(
        "SELECT id, told, name, wins, frame FROM @happened WHERE ns = ? AND id > ? AND told >= ? ORDER BY id LIMIT ?",
        *(tx.ns, after, since, most),
    )
    return rows, int(tx.fact(TRIMMED) or 0)
