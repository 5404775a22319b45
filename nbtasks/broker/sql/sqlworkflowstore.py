"""What is kept about workflows: in which of them something has failed, how calls have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .sqlentries import results_of
from .sqlstock import SqlStock
from .sqlstore import record, states
from .sqlworkflowends import fallout_waits, take_fallout

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction


class SqlWorkflowStore:
    """Reads what both ends need of workflows."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def states_of_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return state codes of (batch, first, count), zero where a call is not final."""
        return self._line.read(lambda tx: [states(tx, *part) for part in parts])

    def records_of(self, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
        """Return (first, count, frame) of each record that has results of these calls."""
        return self._line.read(records_of, batch, first, count)

    def record_at(self, batch: str, first: int, count: int) -> bytes | None:
        """Return the frame of the record that is filed under these calls."""
        return self._line.read(record, batch, first, count)

    def are_known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether the broker knows it."""
        return SqlStock(self._line).known(batches)

    def take_fallout(
        self, most: int, for_ms: int, seen_to: Sequence[tuple[str, bytes]]
    ) -> list[tuple[str, bytes, float]]:
        """Take workflows in which something has failed, or of which only a part has come yet."""
        if not seen_to and not self._line.read(fallout_waits):
            return []
        return self._line.write(take_fallout, most, for_ms, seen_to)


def records_of(tx: Transaction, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
    """Return the records that have results of some calls."""
    places = [(begin, size) for begin, size, _ in results_of(tx, batch, first, count)]
    return [(begin, size, record(tx, batch, begin, size) or b"") for begin, size in places]
