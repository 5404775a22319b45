"""The results of a batch: the records that came, and which of them counts for each call."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Mapping
from itertools import groupby, repeat
from typing import TYPE_CHECKING, Any

from nbtasks.wire.payloads import whole_size

if TYPE_CHECKING:
    from nbtasks.wire.record import Record


class Records:
    """The results of ``n`` calls; a call without one has not ended."""

    def __init__(self, n: int) -> None:
        self._records: list[Record] = []
        #: When each of them was taken in.
        self._heard_at: list[float] = []
        self._where = array("i", (-1,)) * n

    # -- reading

    def of(self, index: int) -> tuple[Record, Any] | None:
        """Return the record that a call's result is in, and its payload; None before its end."""
        number = self._where[index]
        if number < 0:
            return None
        record = self._records[number]
        return record, record.payloads[index - record.first]

    def payloads(self) -> Iterator[bytes | memoryview | None]:
        """Yield what :meth:`of` has of each call, without the record: for those who want all of them."""
        at = 0
        for number, group in groupby(self._where):
            count = len(list(group))
            if number < 0:
                yield from repeat(None, count)
            else:
                record = self._records[number]
                yield from record.payloads[at - record.first : at - record.first + count]
            at += count

    def number(self, index: int) -> int:
        """Return the number of a call's record, -1 before its end."""
        return self._where[index]

    def heard_at(self, index: int) -> float | None:
        """Return when the end of a call was heard of."""
        number = self._where[index]
        return None if number < 0 else self._heard_at[number]

    def all(self, instead: Mapping[int, int] | None = None) -> list[tuple[Record, int, int]]:
        """Return every record that counts, with each (first, count) that it counts for.

        Args:
            instead: numbers of other records, which are to count for these calls.
        """
        found, where = [], self._where
        if instead:
            where = where[:]
            for index, number in instead.items():
                where[index] = number
        at = 0
        for number, group in groupby(where):
            count = len(list(group))
            if number >= 0:
                found.append((self._records[number], at, count))
            at += count
        return found

    def size(self) -> int:
        """Return the bytes of all payloads."""
        return sum(whole_size(record.payloads) for record in self._records)

    # -- written by the ledger

    def grow(self, more: int) -> None:
        """Make room for more calls."""
        self._where.extend([-1] * more)

    def shrink(self, n: int) -> None:
        """Give back all room but that of the first ``n`` calls."""
        del self._where[n:]

    def add(self, record: Record) -> int:
        """Keep a record; returns its number."""
        self._records.append(record)
        self._heard_at.append(time.time())
        return len(self._records) - 1

    def drop_last(self) -> None:
        """The record that was added last counts for nothing."""
        self._records.pop()
        self._heard_at.pop()

    def count_for(self, number: int, first: int, count: int) -> None:
        """A record counts for these calls."""
        self._where[first : first + count] = array("i", (number,)) * count
