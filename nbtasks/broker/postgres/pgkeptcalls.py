"""Calls whose results are kept for later runs, by their names. What is found is a hint: the signed records decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.keptcalls import Place

if TYPE_CHECKING:
    from .pglink import PgLink

#: Names that one verb is asked for, and records.
_MOST_NAMES, _MOST_RECORDS = 5000, 100


class PgKeptCalls:
    """Finds them."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def calls(self, names: Sequence[str]) -> list[tuple[str, int] | None]:
        """Return batch and index of the call that each name leads to; None where there is none."""
        found: list[tuple[str, int] | None] = [None] * len(names)
        for start in range(0, len(names), _MOST_NAMES):
            for place, batch, index in self._line.rows(
                "kept_under", list(names[start : start + _MOST_NAMES])
            ):
                found[start + place - 1] = batch, index
        return found

    def places(self, batches: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
        """Return batch -> (first, count) of each of its records."""
        found: dict[str, list[tuple[int, int]]] = {batch: [] for batch in batches}
        for batch, first, count in self._line.rows("ranges", list(found)):
            found[batch].append((first, count))
        return found

    def records(self, places: Sequence[Place]) -> Iterable[tuple[Place, bytes]]:
        """Yield the records that are there."""
        for start in range(0, len(places), _MOST_RECORDS):
            some = places[start : start + _MOST_RECORDS]
            columns = [list(column) for column in zip(*some, strict=True)]
            for place, frame in self._line.rows("records", *columns):
                yield some[place - 1], frame
