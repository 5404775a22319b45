"""What is kept about workflows. The leg advances none yet; how calls have ended it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .pgkeptcalls import PgKeptCalls
from .pgstock import PgStock
from .pgstore import states_in

if TYPE_CHECKING:
    from .pglink import PgLink


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
        """Take workflows in which something has failed: there are none yet."""
        return []
