"""What is kept about workflows. The leg advances none yet; how calls have ended it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .pgstore import states_in

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_AT_ONCE = 100


class PgWorkflowStore:
    """Reads what both ends need of workflows."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def states_of_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return state codes of (batch, first, count), zero where a call is not final."""
        found = self._line.several([("states", part) for part in parts]) if parts else []
        return [states_in(rows, first, count) for rows, (_, first, count) in zip(found, parts, strict=True)]

    def records_of(self, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
        """Return (first, count, frame) of each record that has results of these calls."""
        places = [(batch, a, n) for a, n, _ in self._line.rows("states", batch, first, count)]
        found: list[tuple[int, int, bytes]] = []
        for start in range(0, len(places), _MOST_AT_ONCE):
            some = places[start : start + _MOST_AT_ONCE]
            columns = [list(column) for column in zip(*some, strict=True)]
            for place, frame in self._line.rows("records", *columns):
                found.append((some[place - 1][1], some[place - 1][2], frame))
        return found

    def record_at(self, batch: str, first: int, count: int) -> bytes | None:
        """Return the frame of the record that is filed under these calls."""
        frame: bytes | None = self._line.one("record", batch, first, count)
        return frame

    def are_known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether the broker knows it."""
        there = {row[0] for row in self._line.rows("batches_named", list(batches))}
        return [batch in there for batch in batches]

    def take_fallout(
        self, most: int, for_ms: int, seen_to: Sequence[tuple[str, bytes]]
    ) -> list[tuple[str, bytes, float]]:
        """Take workflows in which something has failed: there are none yet."""
        return []
