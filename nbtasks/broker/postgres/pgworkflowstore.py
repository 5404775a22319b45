"""What is kept about workflows: in which of them something has failed, how calls have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.verbs.submission import SESSION_TTL_MS

from .pgkeptcalls import PgKeptCalls
from .pgstock import PgStock
from .pgstore import states_in

if TYPE_CHECKING:
    from .pglink import PgLink

#: Parts whose states are asked for in one go.
_MOST_AT_ONCE = 1000


class PgWorkflowStore:
    """Reads what both ends need of workflows."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def states_of_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return state codes of (batch, first, count), zero where a call is not final."""
        found: list[bytes] = []
        for start in range(0, len(parts), _MOST_AT_ONCE):
            some = parts[start : start + _MOST_AT_ONCE]
            rows: dict[int, list[tuple[Any, ...]]] = {}
            columns = [list(column) for column in zip(*some, strict=True)]
            for place, *row in self._line.rows("states_of_parts", *columns):
                rows.setdefault(place - 1, []).append(tuple(row))
            found += [
                states_in(rows.get(place, ()), first, count) for place, (_, first, count) in enumerate(some)
            ]
        return found

    def records_of(self, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
        """Return (first, count, frame) of each record that has results of these calls."""
        if (first, count) == (0, 1):
            # A group of one flush that ends together; a single call's record has its name.
            frame = self.record_at(batch, first, count)
            if frame is not None:
                return [(first, count, frame)]
        places = [(batch, a, n) for a, n, _ in self._line.rows("states", batch, first, count)]
        return [(a, n, frame) for (_, a, n), frame in PgKeptCalls(self._line).records(places)]

    def record_at(self, batch: str, first: int, count: int) -> bytes | None:
        """Return the frame of the record that is filed under these calls."""
        frame: bytes | None = self._line.one("record", batch, first, count)
        return frame

    def are_known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether the broker knows it."""
        return PgStock(self._line).known(batches)

    def take_fallout(
        self, most: int, for_ms: int, seen_to: Sequence[tuple[str, bytes]]
    ) -> list[tuple[str, bytes, float]]:
        """Take workflows in which something has failed, or of which only a part has come yet.

        Returns:
            of each its id, a mark to be given back, and the seconds for which its client has sent nothing; 0 where all
            of it has come.

        Args:
            for_ms: who takes one sees to it within this time; else another one gets it.
            seen_to: those that were taken before.
        """
        names, marks = [name for name, _ in seen_to], [int(mark) for _, mark in seen_to]
        rows = self._line.rows("take_fallout", most, for_ms, names, marks, SESSION_TTL_MS)
        return [(workflow, b"%d" % mark, silent_ms / 1000) for workflow, mark, silent_ms in rows]
