"""Takes over, in a batch with failed calls, what becomes of them where they were submitted again."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.events import CallEvent, Retried, Started
from nbtasks.core.ranges import runs, said_ranges
from nbtasks.wire.errors import failures

from .course import ended_attempt
from .repairs import EndBefore

if TYPE_CHECKING:
    from nbtasks.wire.record import Record

    from .ledger import Ledger

_MOST_CHARACTERS = 500
#: Characters; of what would take more, others are not told what it repairs.
_MOST_LABEL = 20_000


class Mending:
    """One repair of a batch.

    Args:
        batch: whose calls have failed.
        indexes: which ones, in the order in which they are submitted again.
        again: the batch in which they are.
    """

    def __init__(self, batch: Ledger, indexes: Sequence[int], again: Ledger) -> None:
        self.batch = batch
        self.again = again
        self._indexes = indexes
        self._places = {index: place for place, index in enumerate(indexes)}
        #: By call of the batch, how it had ended.
        self._ends: dict[int, EndBefore] = {}
        self._begun = False
        self._lock = threading.RLock()
        again.mends = self

    @property
    def label(self) -> str:
        """The batch and its calls, as others are told."""
        text = f"{self.batch.id} {said_ranges(self._indexes)}"
        return text if len(text) <= _MOST_LABEL else ""

    def place(self, index: int) -> int:
        """Return the index that a call of the batch has in the other one."""
        return self._places[index]

    def begin(self) -> None:
        """From now on the calls are open again, and what has become of them already counts."""
        with self._lock:
            self._begun = True
            bad = [index for index in self._indexes if self.batch.states[index] in st.RETRIABLE_CODES]
            self._ends = {index: self._end_of(index) for index in bad}
            self._reopen()
            for index, running in self.again.running.copy().items():
                started = Started(index, time.time() - running.started_at, running.attempt)
                self.take_event(running.worker, started, running.child)
            for record, first, count in self.again.known_records():
                self.take_record(record, range(first, first + count))
            if self.again.problem is not None:
                self.give_up()

    def _reopen(self) -> None:
        batch = self.batch
        for index, end in self._ends.items():
            if end.attempt is not None:
                batch.tries.add(index, end.attempt)
        batch.reopen(self, self._ends)
        for index in self._ends:
            batch.failures.pop(index, None)
            batch.output.forget(index)
        for first, count in runs(sorted(self._ends)):
            batch.watchers.note(first, count)

    def _end_of(self, index: int) -> EndBefore:
        batch = self.batch
        attempt, found = None, batch.record(index)
        if found is not None and found[0].worker:
            attempt = dataclasses.replace(
                ended_attempt(batch, index, found[0]), error=_error(batch, index, found[1])
            )
        return EndBefore(batch.states[index], batch.record_number(index), batch.failures.get(index), attempt)

    # -- told by the other batch

    def take_record(self, record: Record, fresh: Collection[int]) -> None:
        """Calls have ended there."""
        with self._lock:
            for first, count in self._pieces(sorted(fresh)) if self._begun else ():
                index, at = self._indexes[first], first - record.first
                given = {
                    index + place - first: record.given[place]
                    for place in range(first, first + count)
                    if place in record.given
                }
                part = dataclasses.replace(
                    record,
                    batch=self.batch.id,
                    first=index,
                    states=record.states[at : at + count],
                    seconds=record.seconds[at : at + count],
                    payloads=record.payloads[at : at + count],
                    begun=record.begun[at : at + count],
                    attempt=record.attempt + self._before(index),
                    given=given,
                )
                part.ahead_s = record.ahead_s
                self.batch.take_record(part, [(index, count)])

    def take_event(self, worker: str, event: CallEvent, child: int | None) -> None:
        """Something has happened to a call there."""
        with self._lock:
            if not (self._begun and event.index < len(self._indexes) and self._counts(event.index)):
                return
            index = self._indexes[event.index]
            here = dataclasses.replace(event, index=index)
            if isinstance(here, Started) or (isinstance(here, Retried) and here.attempt):
                here = dataclasses.replace(here, attempt=here.attempt + self._before(index))
            self.batch.take_event(worker, here, child)

    def take_given(self, first: int, count: int) -> None:
        """Calls wait again there."""
        with self._lock:
            for place in range(first, first + count) if self._begun else ():
                if self._counts(place):
                    self.batch.take_given(self._indexes[place], 1)

    def give_up(self) -> None:
        """Nobody will tell how they end: those that have not ended are what they were before."""
        with self._lock:
            batch = self.batch
            for index, end in self._ends.items():
                if batch.states[index] >= st.FIRST_READY_CODE or not self._counts(self._places[index]):
                    continue
                if end.attempt is not None:
                    batch.tries.take_back(index, end.attempt)
                batch.running.pop(index, None)
                batch.progress.pop(index, None)
                if end.failure is not None:
                    batch.failures[index] = end.failure
                batch.restore(index, end)

    def _counts(self, place: int) -> bool:
        """Whether no other repair has come after it for a call."""
        repairs = self.batch.repairs
        return repairs is not None and repairs.last(self._indexes[place]) is self

    def _before(self, index: int) -> int:
        """Return how many attempts at a call there were before."""
        attempt = self._ends[index].attempt
        return 0 if attempt is None else attempt.number

    def _pieces(self, places: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield (first, count) of those that count, that are in a row in both batches, and were as often tried."""
        for first, count in runs(place for place in places if self._counts(place)):
            start = first
            for place in range(first + 1, first + count + 1):
                if place < first + count and self._follows(place):
                    continue
                yield start, place - start
                start = place

    def _follows(self, place: int) -> bool:
        before, index = self._indexes[place - 1], self._indexes[place]
        return index == before + 1 and self._before(index) == self._before(before)


def _error(batch: Ledger, index: int, payload: bytes | memoryview) -> str:
    if not len(payload):
        return batch.revoked.how
    known = batch.failures.get(index)
    if known is not None:
        return f"{known.type}: {known.message}"[:_MOST_CHARACTERS]
    failure = failures.unpack(payload)
    return f"{failure.type_name}: {failure.message}"[:_MOST_CHARACTERS]
