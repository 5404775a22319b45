"""What of some batches lies in the queues: a call that has not ended is in one of them, waiting or in hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.stock import Look

from .sqlentries import queue_there
from .sqlstore import named
from .sqltransaction import MOST_LISTED

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction


class SqlStock:
    """Looks into queues; takes and changes nothing."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def look(self, address: str, batches: Sequence[str]) -> Look:
        """Return what of these batches lies in a queue."""
        found: dict[str, list[tuple[int, int]]] = {batch: [] for batch in batches}
        for batch, first, size in self._line.read(stock, address, list(found)):
            found[batch].append((first, size))
        # One statement sees all as it was at one moment; a transaction need not, with READ COMMITTED.
        return Look(found, at_once=len(found) <= MOST_LISTED)

    def parked(self, batches: Sequence[str]) -> dict[str, set[int]]:
        """Return of each batch the first calls of its chunks that wait for other batches."""
        found: dict[str, set[int]] = {batch: set() for batch in batches}
        for batch, first in self._line.read(parked, list(found)):
            found[batch].add(first)
        return found

    def known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether it is recorded."""
        there = {row[0] for row in self._line.read(named, list(batches))}
        return [batch in there for batch in batches]


def stock(tx: Transaction, address: str, batches: Sequence[str]) -> list[Row]:
    """Return batch, first and size of what lies in a queue of some batches, in any way."""
    statement = "SELECT batch, first, size FROM @entries WHERE queue = ? AND batch IN (*) ORDER BY id"
    return tx.rows_in(statement, (queue_there(tx, address),), batches)


def parked(tx: Transaction, batches: Sequence[str]) -> list[Row]:
    """Return batch and first call of each chunk that waits for other batches."""
    statement = "SELECT batch, first FROM @entries WHERE queue < 0 AND ns = ? AND batch IN (*)"
    return tx.rows_in(statement, (tx.ns,), batches)
