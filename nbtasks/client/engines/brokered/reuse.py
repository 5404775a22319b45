"""Results that earlier runs have left: found by the names of calls, verified, and taken for the calls of a new batch.

A name leads to a call, and the signed record of that call bears the name: whoever writes to the server can hide what is
kept, and cannot give a call the result of another one.
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.keptcalls import Place
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.registry import Registry
from nbtasks.core import memo
from nbtasks.core.calloutput import CallOutput
from nbtasks.core.errors import OperationalError, SignatureMismatch
from nbtasks.core.ranges import runs
from nbtasks.core.states import SUCCESS_CODE
from nbtasks.wire.codec import Codec
from nbtasks.wire.record import Record
from nbtasks.wire.values import Shelf, keys_of

from .sending.sender import Sender

_log = logging.getLogger("nbtasks")
#: Of one record that is made of kept results.
_MOST_CALLS = 512
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Kept:
    """A result that an earlier run has left; ``made`` is when, in the server's time, 0 where that is not known."""

    payload: bytes | memoryview
    given: CallOutput | None
    made: float


class Reuse:
    """Finds results for one session, and ends calls with them."""

    def __init__(
        self,
        line: BrokerLine,
        shelf: Shelf,
        codec: Codec,
        clock: ServerClock,
        registry: Registry,
        sender: Sender,
    ) -> None:
        self._calls = line.kept_calls()
        self._blobs = line.blobs()
        self._shelf = shelf
        self._codec = codec
        self._clock = clock
        self._registry = registry
        self._sender = sender

    def found(self, names: bytes) -> dict[int, Kept]:
        """Return place -> kept result of those names under which there is one that can be read.

        Raises:
            OperationalError: the broker does not answer.
        """
        each = [names[at : at + memo.NAME_BYTES] for at in range(0, len(names), memo.NAME_BYTES)]
        named = [place for place, name in enumerate(each) if name != memo.UNNAMED]
        led_to = self._calls.calls([each[place].hex() for place in named])
        wanted: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        for place, call in zip(named, led_to, strict=True):
            if call is not None:
                wanted[call].append(place)
        found: dict[int, Kept] = {}
        for (batch, index), kept, name in self._kept(list(wanted)):
            for place in wanted[batch, index]:
                if each[place] == name:
                    found[place] = kept
        return self._readable(found)

    def _kept(self, calls: Sequence[tuple[str, int]]) -> Iterator[tuple[tuple[str, int], Kept, bytes]]:
        """Yield each call that has a result, with that and the name that it bears."""
        of_batch: defaultdict[str, set[int]] = defaultdict(set)
        for batch, index in calls:
            of_batch[batch].add(index)
        places = [
            (batch, first, count)
            for batch, spans in self._calls.places(of_batch).items()
            for first, count in spans
            if not of_batch[batch].isdisjoint(range(first, first + count))
        ]
        for place, frame in self._calls.records(places):
            try:
                record = self._codec.open_record(frame, place[0])
            except SignatureMismatch as error:
                _log.warning("a kept result of batch %s is refused, and its call runs: %s", place[0], error)
                continue
            for index in of_batch[place[0]].intersection(_counted(record, place)):
                name = memo.name_at(record.memo, index - record.first)
                yield (place[0], index), _kept_in(record, index), name

    def _readable(self, found: Mapping[int, Kept]) -> dict[int, Kept]:
        """Leave out those whose large value is gone."""
        keys = {place: keys_of(kept.payload) for place, kept in found.items()}
        asked = sorted({key for some in keys.values() for key in some})
        there = {key for key, is_there in zip(asked, self._blobs.have(asked), strict=True) if is_there}
        return {
            place: kept
            for place, kept in found.items()
            if there.issuperset(keys[place]) and not self._shelf.lacks(kept.payload)
        }

    def take(self, batch: Ledger, found: Mapping[int, Kept]) -> None:
        """End calls of a batch, which is being sent, with kept results: here at once, and for the broker."""
        records = list(_records_of(batch.id, found))
        for record in records:
            record.ahead_s = self._clock.ahead_s()
            batch.apply_record(record, [(record.first, len(record.states))])
        self._registry.note_reused(batch)
        self._registry.announce()
        values = sorted({key for kept in found.values() for key in keys_of(kept.payload)})
        # What it does not take now it is told when it is seen that it lacks something.
        with contextlib.suppress(OperationalError):
            self._sender.send_kept(batch, records, values)


def _counted(record: Record, place: Place) -> list[int]:
    """Return the calls that have succeeded by a record that is filed under a place; none where that is wrong."""
    _, first, count = place
    end = record.first + len(record.states)
    if not (record.first <= first and first + count <= end):
        return []
    return [n for n in range(first, first + count) if record.states[n - record.first] == SUCCESS_CODE]


def _kept_in(record: Record, index: int) -> Kept:
    place = index - record.first
    told_at = record.told_at or 0.0
    made = told_at + record.begun[place] + record.seconds[place] if record.begun else told_at
    # When it began may be nan.
    return Kept(record.payloads[place], record.given.get(index), made if made > 0 else told_at)


def _records_of(batch: str, found: Mapping[int, Kept]) -> Iterator[Record]:
    for first, count in runs(sorted(found)):
        size, begin = 0, first
        for index in range(first, first + count):
            size += len(found[index].payload)
            if index - begin == _MOST_CALLS or (size > _MOST_BYTES and index > begin):
                yield _record_of(batch, begin, [found[one] for one in range(begin, index)])
                size, begin = len(found[index].payload), index
        yield _record_of(batch, begin, [found[one] for one in range(begin, first + count)])


def _record_of(batch: str, first: int, kept: Sequence[Kept]) -> Record:
    record = Record.alike(batch, first, len(kept), SUCCESS_CODE)
    record.payloads = [one.payload for one in kept]
    record.given = {first + place: one.given for place, one in enumerate(kept) if one.given is not None}
    record.made = [one.made for one in kept]
    return record
