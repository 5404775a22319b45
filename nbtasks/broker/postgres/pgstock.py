"""What of some batches lies in the queues: a call that has not ended is in one of them, waiting or in hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.stock import Look

if TYPE_CHECKING:
    from .pglink import PgLink


class PgStock:
    """Looks into queues; takes and changes nothing."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def look(self, address: str, batches: Sequence[str]) -> Look:
        """Return what of these batches lies in a queue."""
        found: dict[str, list[tuple[int, int]]] = {batch: [] for batch in batches}
        for batch, first, count in self._line.rows("stock", address, list(found)):
            found[batch].append((first, count))
        # One statement sees all of it as it was at one moment.
        return Look(found, at_once=True)

    def parked(self, batches: Sequence[str]) -> dict[str, set[int]]:
        """Return of each batch the first calls of its chunks that wait for other batches."""
        found: dict[str, set[int]] = {batch: set() for batch in batches}
        for batch, first in self._line.rows("parked", list(found)) if found else ():
            found[batch].add(first)
        return found

    def known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether it is recorded."""
        there = {row[0] for row in self._line.rows("batches_named", list(batches))}
        return [batch in there for batch in batches]
