"""From what lies in the stream of events to events: verified, in order, nothing twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

from nbtasks.broker.verbs.eventlog import EventEntry
from nbtasks.client.happened.event import Event
from nbtasks.core import happenings as words
from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.events import GivenBack, Progressed, Refusal, Retried, Started
from nbtasks.core.happenings import CallsEnded, CallTold, Happenings, Whose, WorkerNote
from nbtasks.core.label import BatchLabel
from nbtasks.core.ranges import Ranges, joined, ranges_from, ranges_within, ranges_without
from nbtasks.core.states import REVOKED_CODE
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import key_of
from nbtasks.wire.replay import Window

#: Batches, calls and processes that are remembered.
_MOST_KNOWN = 20_000
_MOST_RANGES = 1_000
#: Bytes of one thing in the stream.
_MOST_BYTES = 1024 * 1024
#: And of that which says what of a note was new, which nobody signs.
_MOST_NEW_BYTES = 256 * 1024
_NOTE = b"h"
#: Which of the results that a note is about were new, where not all of them were.
_NEW = b"w"
#: Seconds in which a label is noted that says in which second it was made.
_LABEL_S = 1.5

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Recently(OrderedDict[K, V], Generic[K, V]):
    """Remembers the last ones only."""

    def keep(self, key: K, value: V) -> None:
        self[key] = value
        if len(self) > _MOST_KNOWN:
            self.popitem(last=False)


class Unfolding:
    """Makes events of entries, those of calls in a row as one.

    Args:
        label_of: returns the signed label of a batch, None where there is none.

    Attributes:
        refused: how many things were left out that are not signed by one of our keys, or make no sense.
        foreign: how many were signed by keys that are not here: they are of somebody else.
        lost: how many rows who has noted them had to leave out.
    """

    def __init__(
        self, codec: Codec, key_ids: tuple[str, ...], label_of: Callable[[str], bytes | None]
    ) -> None:
        self._codec = codec
        self._label_of = label_of
        self._key_ids = frozenset(key_ids)
        self._windows: _Recently[str, Window] = _Recently()
        self._labels: _Recently[str, BatchLabel | None] = _Recently()
        #: Batch, and which try -> those calls that run of which it was said that they had started.
        self._started: _Recently[tuple[str, int], set[int]] = _Recently()
        #: Of a batch, which of its calls were revoked, or have ended without having run.
        self._over: _Recently[str, Ranges] = _Recently()
        self.refused = self.foreign = self.lost = 0

    def events(self, entry: EventEntry) -> Iterator[Event]:
        """Yield what an entry says."""
        new = dict(entry.parts).get(_NEW)
        for name, frame in entry.parts:
            if name == _NEW:
                continue
            if len(frame) > _MOST_BYTES or (new is not None and len(new) > _MOST_NEW_BYTES):
                self.refused += 1
            elif len(frame) >= 8 and key_of(frame) not in self._key_ids:
                self.foreign += 1
            else:
                yield from self._of_frame(name, frame, entry.at, new)

    def _of_frame(self, name: bytes, frame: bytes, at: float, new: bytes | None) -> list[Event]:
        try:
            if name == _NOTE:
                told = self._codec.open_happenings(frame)
                return self._of_note(told, None if new is None else ranges_from(new))
            batch = name.decode("ascii")
            return self._of_label(batch, self._codec.open_label(frame, batch), at)
        except (SignatureMismatch, ValueError, OverflowError):
            self.refused += 1
            return []

    # -- what was submitted

    def _of_label(self, batch: str, label: BatchLabel, noted_at: float) -> list[Event]:
        before = self._labels.get(batch)
        self._labels.keep(batch, label)
        if label.n < 0 or (before is not None and before.n >= 0):
            # Its calls are not counted yet; or it was sent again.
            return []
        who = label.submitter
        details: dict[str, Any] = {
            "eta": label.eta_at,
            "workflow": label.workflow or None,
            "place": who.place or None,
            "title": label.title,
            "shown": label.shown,
            "kind": label.kind,
            "pid": who.pid or None,
        }
        if label.n == 0:
            return []
        # What is signed is the second.
        at = noted_at if 0 <= noted_at - label.at < _LABEL_S else label.at
        return [
            Event(
                words.SENT,
                at,
                who.machine.partition(" ")[0],
                details,
                batch=batch,
                count=label.n,
                name=label.name,
                queue=label.queue,
                attempt=1,
                single=label.single,
                own_id=label.own_id,
            )
        ]

    def _label(self, batch: str) -> BatchLabel | None:
        """Return what is told of a batch; None where nobody knows it any more."""
        if batch not in self._labels:
            frame = self._label_of(batch)
            try:
                self._labels.keep(batch, self._codec.open_label(frame, batch) if frame else None)
            except SignatureMismatch:
                self._labels.keep(batch, None)
        return self._labels[batch]

    # -- what processes note

    def _of_note(self, told: Happenings, new: Ranges | None) -> list[Event]:
        window = self._windows.get(told.reporter) or Window()
        self._windows.keep(told.reporter, window)
        if not window.fresh(told.number):
            return []
        found: list[Event] = []
        # A call may be said to have started after it was noted that it has ended.
        happenings = sorted(told.happenings(), key=lambda one: isinstance(one, CallsEnded))
        self.lost += told.lost
        for one in happenings:
            if isinstance(one, CallsEnded):
                found += self._of_ends(one, told, new)
            elif isinstance(one, CallTold):
                found += self._of_told(one, told)
            else:
                found.append(_of_worker(one, told))
        # A process notes ends first, and begins when somebody looks.
        found.sort(key=lambda event: event.timestamp)
        return found

    def _event(
        self,
        type_: str,
        at: float,
        whose: Whose,
        told: Happenings,
        index: int,
        count: int,
        attempt: int,
        **details: Any,
    ) -> Event:
        name, queue, single, own_id = whose.name, whose.queue, whose.single, whose.own_id
        if not name and (label := self._label(whose.batch)) is not None:
            name, queue, single, own_id = label.name, label.queue, label.single, label.own_id
        return Event(
            type_, at, told.worker, details, batch=whose.batch, index=index, count=count, name=name or None,
            queue=queue or None, child=told.child, attempt=attempt, single=single, own_id=own_id,
        )  # fmt: skip

    def _of_ends(self, ends: CallsEnded, told: Happenings, new: Ranges | None) -> Iterator[Event]:
        n, batch = len(ends.states), ends.whose.batch
        fresh = ranges_without(
            [(0, n)] if new is None else ranges_within(new, ends.first, n),
            ranges_within(self._over.get(batch, ()), ends.first, n),
        )
        each_s, begun = ends.seconds[0] / n, ends.begun[0]
        for first, count in fresh:
            if len(ends.begun) == n:
                for place in range(first, first + count):
                    yield from self._of_run(ends, told, place, 1, ends.begun[place], ends.seconds[place])
                continue
            for place, length in _runs_of(ends.states, first, count):
                since = None if begun is None else begun + each_s * place
                yield from self._of_run(ends, told, place, length, since, each_s * length)
        if REVOKED_CODE in ends.states or None in ends.begun:
            self._note_over(ends, fresh)

    def _note_over(self, ends: CallsEnded, fresh: Ranges) -> None:
        """Remember what was ended by somebody who does not run it: a worker may say how it has ended, too."""
        batch, known = ends.whose.batch, list(self._over.get(ends.whose.batch, ()))
        each = len(ends.begun) == len(ends.states)
        for first, count in fresh:
            for place, length in _runs_of(ends.states, first, count):
                if ends.states[place] == REVOKED_CODE or ends.begun[place if each else 0] is None:
                    known.append((ends.first + place, length))
        self._over.keep(batch, joined(known)[-_MOST_RANGES:])

    def _of_run(
        self, ends: CallsEnded, told: Happenings, place: int, count: int, begun: float | None, seconds: float
    ) -> Iterator[Event]:
        index, state, whose = ends.first + place, ends.states[place], ends.whose

        def event(type_: str, at: float, **details: Any) -> Event:
            return self._event(type_, at, whose, told, index, count, ends.attempt, **details)

        if begun is not None:
            for first, length in self._not_told(whose.batch, ends.attempt, index, count):
                if ends.taken_at is not None:
                    yield event(words.RECEIVED, min(ends.taken_at, begun)).part(first, length)
                yield event(words.STARTED, begun).part(first, length)
        at = told.at if begun is None else begun + seconds
        runtime = None if begun is None else seconds
        type_ = words.OF_STATE[state]
        if type_ == words.SUCCEEDED:
            yield event(type_, at, runtime=runtime, started=begun)
            return
        done = 0
        for first, length, said in _errors_within(ends, place, count):
            whole = event(type_, at, runtime=runtime, started=begun)
            share = None if runtime is None else runtime * length / count
            yield whole.part(first, length, {"runtime": share, "started": begun, "exception": said or None})
            done += length

    def _not_told(self, batch: str, attempt: int, index: int, count: int) -> Ranges:
        """Return which of some calls, that have ended now, were not said before to have started."""
        key = batch, attempt
        known = self._started.get(key)
        if not known:
            return [(0, count)]
        told = known.intersection(range(index, index + count)) if count > 1 else known & {index}
        known -= told
        if not known:
            del self._started[key]
        return ranges_without([(0, count)], [(one - index, 1) for one in sorted(told)])

    def _of_told(self, one: CallTold, told: Happenings) -> Iterator[Event]:
        whose, what = one.whose, one.event

        def event(type_: str, at: float, count: int = 1, **details: Any) -> Event:
            return self._event(type_, at, whose, told, what.index, count, one.attempt, **details)

        if isinstance(what, Started):
            yield from self._of_start(one, one.at - what.ago_s, event)
        elif isinstance(what, Retried):
            if what.ran_s or what.ago_s:
                yield from self._of_start(one, one.at - what.ago_s, event)
            yield event(
                words.RETRIED, one.at, exception=what.reason or None, delay=what.delay_s, runtime=what.ran_s
            )
        elif isinstance(what, GivenBack):
            yield event(words.REDELIVERED, one.at, what.count)
        elif isinstance(what, Refusal):
            yield event(words.REJECTED, one.at, what.count, exception=what.reason or None)
        elif isinstance(what, Progressed):
            yield event(
                words.PROGRESS,
                one.at,
                done=what.done,
                total=what.total,
                message=what.message or None,
                state=what.state or None,
            )

    def _of_start(self, one: CallTold, at: float, event: Any) -> Iterator[Event]:
        key = one.whose.batch, one.attempt
        known = self._started.get(key, set())
        was_told = one.event.index in known
        if isinstance(one.event, Started):
            known.add(one.event.index)
            self._started.keep(key, known)
        else:
            # This try is over.
            known.discard(one.event.index)
        if was_told:
            return
        if one.taken_at is not None:
            yield event(words.RECEIVED, min(one.taken_at, at))
        yield event(words.STARTED, at)


def _of_worker(one: WorkerNote, told: Happenings) -> Event:
    facts = {name: value for name, value in one.facts.items() if name in _OF_WORKERS}
    return Event(one.type, told.at, told.worker, facts)


_OF_WORKERS = frozenset({"pid", "host", "queues", "concurrency", "python", "version", "reason"})


def _runs_of(states: bytes, first: int, count: int) -> Ranges:
    """Return (place, count) of calls in a row that have ended alike, of some of them."""
    found, start, end = [], first, first + count
    while start < end:
        state = states[start : start + 1]
        # What is not like the first one: the rest of it is stripped of what is.
        length = end - start - len(states[start:end].lstrip(state))
        found.append((start, length))
        start += length
    return found


def _errors_within(ends: CallsEnded, place: int, count: int) -> Iterator[tuple[int, int, str]]:
    """Yield the texts of calls from ``place`` on: (first one of them, how many, text), all of them once."""
    at, end = place, place + count
    for first, length, said in ends.errors:
        begin, stop = max(at, first), min(end, first + length)
        if begin >= stop:
            continue
        if begin > at:
            yield at - place, begin - at, ""
        yield begin - place, stop - begin, said
        at = stop
    if at < end:
        yield at - place, end - at, ""
