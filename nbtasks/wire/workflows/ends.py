"""How the calls have ended that others wait for: states and results as the broker has them, nothing unverified."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from nbtasks.core.errors import SignatureMismatch, ValueLost
from nbtasks.core.inputs import CallsBefore
from nbtasks.core.ranges import runs
from nbtasks.core.states import SUCCESS_CODE
from nbtasks.wire.codec import Codec
from nbtasks.wire.payloads import whole_size
from nbtasks.wire.record import Record

#: What one process keeps of results that it has read: the members of a group may all get the same.
_MOST_KEPT, _MOST_KEPT_BYTES = 32, 64 * 2**20
#: State codes that mean that what waits for them is not run, as 1 in a translation table.
_BAD = bytes(code not in (0, SUCCESS_CODE) for code in range(256))

#: Calls in a row of a record, whose results count: (record, index of the first, number).
Run = tuple[Record, int, int]


class Results(Protocol):
    """What the broker has of calls that have ended."""

    def states_of_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return state codes of (batch, first, count), zero where a call is not final."""

    def records_of(self, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
        """Return (first, count, frame) of each record that has results of these calls."""

    def record_at(self, batch: str, first: int, count: int) -> bytes | None:
        """Return the frame of the record that is filed under these calls."""

    def are_known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether the broker knows it."""


class EndsRead:
    """Results that were read, of calls that have all ended: they never change. The oldest ones go."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int], tuple[bytes, list[Record]]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[str, int, int]) -> tuple[bytes, list[Record]] | None:
        """Return states and records of (batch, first, count)."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: tuple[str, int, int], states: bytes, records: list[Record]) -> None:
        """Keep them, where they are not too large."""
        size = _bytes_of(records)
        if key in self._kept or size > _MOST_KEPT_BYTES or 0 in states:
            return
        self._kept[key] = (states, records)
        self._bytes += size
        while len(self._kept) > _MOST_KEPT or self._bytes > _MOST_KEPT_BYTES:
            _, (_, gone) = self._kept.popitem(last=False)
            self._bytes -= _bytes_of(gone)


class Ends:
    """How some calls have ended.

    Args:
        read: what was read before.
        filed: (first, count) of the record that is likely to have them all; None where nobody says so.
    """

    def __init__(
        self, codec: Codec, results: Results, read: EndsRead, filed: tuple[int, int] | None = None
    ) -> None:
        self._codec = codec
        self._results = results
        self._read = read
        self._filed = filed
        #: Batch -> index of the first call that was looked at, and states from there on.
        self._states: dict[str, tuple[int, bytearray]] = {}
        self._records: dict[str, list[Record]] = {}
        #: Ends that are about to be told: batch -> (first, count, payload).
        self._noted: dict[str, list[tuple[int, int, bytes]]] = {}

    def look(self, parts: Iterable[CallsBefore]) -> None:
        """Read how these calls stand; in one round trip, and only what is not known yet."""
        spans: dict[str, tuple[int, int]] = {}
        for part in parts:
            begin, end = spans.get(part.batch, (part.first, part.first))
            spans[part.batch] = (min(begin, part.first), max(end, part.first + part.count))
        asked = []
        for batch, (begin, end) in spans.items():
            known = self._read.get((batch, begin, end - begin))
            if known is None:
                asked.append((batch, begin, end - begin))
            else:
                self._states[batch] = (begin, bytearray(known[0]))
                self._records[batch] = known[1]
        if asked:
            for (batch, begin, _), states in zip(asked, self._results.states_of_parts(asked), strict=True):
                self._states[batch] = (begin, bytearray(states))

    def states(self, part: CallsBefore) -> bytearray:
        """Return the states of calls that were looked at."""
        begin, states = self._states[part.batch]
        return states[part.first - begin :][: part.count]

    def first_bad(self, part: CallsBefore) -> int | None:
        """Return the index of the first call that has ended and not succeeded."""
        place = self.states(part).translate(_BAD).find(1)
        return None if place < 0 else part.first + place

    def state(self, batch: str, index: int) -> int:
        """Return the state of one call."""
        begin, states = self._states[batch]
        return states[index - begin]

    def is_gone(self, batch: str) -> bool:
        """Whether the broker does not know a batch: nobody will tell how its calls end."""
        return not self._results.are_known([batch])[0]

    def payload(self, batch: str, index: int) -> bytes | memoryview:
        """Return what the result of a call is, or its failure; empty where nothing is told.

        Raises:
            ValueLost, SignatureMismatch: it is gone, or is not what was signed.
        """
        for first, count, payload in self._noted.get(batch, ()):
            if first <= index < first + count:
                return payload
        state = self.state(batch, index)
        for record in self._opened(batch, index, 1):
            if record.states[index - record.first] == state:
                return record.payloads[index - record.first]
        raise ValueLost(f"the result of call {index} of batch {batch} is gone from the broker")

    def note(self, batch: str, first: int, count: int, state: int, payload: bytes) -> None:
        """Calls that were looked at end so; that is about to be told."""
        begin, states = self._states[batch]
        states[first - begin : first - begin + count] = bytes([state]) * count
        self._noted.setdefault(batch, []).append((first, count, payload))

    def counted(self, part: CallsBefore) -> list[Run]:
        """Return the results of calls that have all ended, in order.

        Raises:
            ValueLost, SignatureMismatch: one is gone, or is not what was signed.
        """
        states, found, open_ = self.states(part), [], bytearray(b"\1" * part.count)
        for record in self._records_of(part.batch):
            for first, count in _that_count(record, part, states, open_):
                open_[first - part.first : first - part.first + count] = bytes(count)
                found.append((record, first, count))
        if any(open_):
            index = part.first + open_.find(1)
            raise ValueLost(f"the result of call {part.id_of(index)} is gone from the broker")
        return sorted(found, key=lambda run: run[1])

    def _records_of(self, batch: str) -> list[Record]:
        if batch not in self._records:
            begin, states = self._states[batch]
            records = self._records[batch] = self._likely(batch, begin, states) or self._opened(
                batch, begin, len(states)
            )
            self._read.put((batch, begin, len(states)), bytes(states), records)
        return self._records[batch]

    def _likely(self, batch: str, begin: int, states: bytearray) -> list[Record]:
        """Return the record that is said to have some results, where it has all of them."""
        if self._filed is None:
            return []
        frame = self._results.record_at(batch, *self._filed)
        try:
            record = None if frame is None else self._codec.open_record(frame, batch)
        except SignatureMismatch:
            record = None
        if record is None or not record.first <= begin <= begin + len(states) <= record.first + len(
            record.states
        ):
            return []
        place = begin - record.first
        return [record] if record.states[place : place + len(states)] == states else []

    def _opened(self, batch: str, first: int, count: int) -> list[Record]:
        """Return those records that are what they say they are.

        Raises:
            SignatureMismatch: none of them is.
        """
        opened, problem = [], None
        for filed, n, frame in self._results.records_of(batch, first, count):
            try:
                record = self._codec.open_record(frame, batch)
            except SignatureMismatch as error:
                problem = error
                continue
            # What is filed for a part of a record counts for that part only, and its states say so.
            if record.first <= filed and filed + n <= record.first + len(record.states):
                opened.append(record)
        if problem is not None and not opened:
            raise problem
        return opened


def payloads_in(found: Sequence[Run]) -> Iterator[bytes | memoryview]:
    """Yield the payload of each call."""
    for record, first, count in found:
        place = first - record.first
        yield from record.payloads[place : place + count]


def _that_count(
    record: Record, part: CallsBefore, states: bytearray, open_: bytearray
) -> list[tuple[int, int]]:
    """Return (first, count) of the calls of a record that are asked for, are not known yet, and have ended so."""
    begin = max(part.first, record.first)
    end = min(part.first + part.count, record.first + len(record.states))
    if begin >= end:
        return []
    its = record.states[begin - record.first : end - record.first]
    here = slice(begin - part.first, end - part.first)
    if its == states[here] and 0 not in open_[here]:
        return [(begin, end - begin)]
    return list(
        runs(
            index
            for index in range(begin, end)
            if open_[index - part.first] and its[index - begin] == states[index - part.first]
        )
    )


def _bytes_of(records: Sequence[Record]) -> int:
    return sum(whole_size(record.payloads) for record in records)
