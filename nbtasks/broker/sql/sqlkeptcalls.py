"""Calls whose results are kept for later runs, by their names. What is found is a hint: the signed records decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.keptcalls import Place

from .sqlstore import ranges, record

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

#: Records that are read at a time.
_MOST_RECORDS = 100


class SqlKeptCalls:
    """Finds them."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def calls(self, names: Sequence[str]) -> list[tuple[str, int] | None]:
        """Return batch and index of the call that each name leads to; None where there is none."""
        found = self._line.read(kept_under, names) if names else {}
        return [found.get(name) for name in names]

    def places(self, batches: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
        """Return batch -> (first, count) of each of its records."""
        wanted = list(batches)
        return self._line.read(lambda tx: {batch: ranges(tx, batch) for batch in wanted})

    def records(self, places: Sequence[Place]) -> Iterable[tuple[Place, bytes]]:
        """Yield the records that are there."""
        for start in range(0, len(places), _MOST_RECORDS):
            yield from self._line.read(records, places[start : start + _MOST_RECORDS])


def kept_under(tx: Transaction, names: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return name -> batch and index of the calls that some names lead to."""
    statement = "SELECT name, batch, nth FROM @kept_calls WHERE ns = ? AND name IN (*) AND expires > ?"
    rows = tx.rows_in(statement, (tx.ns,), names, tx.now_ms())
    return {name: (batch, nth) for name, batch, nth in rows}


def records(tx: Transaction, places: Sequence[Place]) -> list[tuple[Place, bytes]]:
    """Return the records that are there."""
    found = [(place, record(tx, *place)) for place in places]
    return [(place, frame) for place, frame in found if frame is not None]
