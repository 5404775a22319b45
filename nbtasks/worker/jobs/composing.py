"""What has ended, as the broker is told it: results of calls in a row in one record, retries as chunks, all sealed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

from nbtasks.broker.verbs.finish import Finish
from nbtasks.core import attempts, memo
from nbtasks.core.errors import WireError
from nbtasks.core.events import CallEvent, GivenBack, Progressed, Refusal, Retried
from nbtasks.core.ids import new_id
from nbtasks.core.inputs import calls_of
from nbtasks.core.readable import name_of, text_of
from nbtasks.core.states import FAILURE_CODE, SUCCESS_CODE
from nbtasks.wire.batchnews import BatchNews
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.payloads import Repeated
from nbtasks.wire.record import Record
from nbtasks.worker.isolation.assignments import are_builtins_replaced
from nbtasks.worker.isolation.news import last_news

from .chronicle import Chronicle
from .ended import Again, Done, Ended, PutAside, Refused, Unread
from .job import Job
from .nextattempt import changed, standing_in

#: Seconds after which a call that waits for others is looked at, whether it was told of their end or not.
_LOOK_AGAIN_S = 600.0
#: Batches that are named to those who wait, of those that have taken a call's place.
_MOST_NAMED = 20


class Composer:
    """Writes the reports of one child.

    Args:
        worker: its name.
        child: its number.
        server_now: the server's time in epoch seconds.
        chronicle: what is noted of it in the stream of events.
    """

    def __init__(
        self,
        codec: Codec,
        worker: str,
        child: int,
        server_now: Callable[[], float],
        chronicle: Chronicle,
    ) -> None:
        self._codec = codec
        self._worker = worker
        self._child = child
        self._server_now = server_now
        self.chronicle = chronicle
        self._id = new_id()
        self._numbers = itertools.count(1)

    def add_ended(self, report: Finish, items: Sequence[Ended]) -> None:
        """Add how calls have ended, their results first."""
        for run in _runs([item for item in items if isinstance(item, Done)]):
            self._add_results(report, run)
        for item in items:
            if isinstance(item, Again | PutAside):
                self._add_later(report, item)
            elif isinstance(item, Unread):
                self._add_unread(report, item)

    def add_refused(self, report: Finish, item: Refused) -> None:
        """Add that calls are not run, for whoever submitted them."""
        self.add_news(report, item.batch, item.key_id, [_refusal(item)])
        self.chronicle.refused(item.batch, item.key_id, _refusal(item))

    def add_news(self, report: Finish, batch: str, key_id: str, events: list[CallEvent]) -> None:
        """Add what has happened to calls of a batch.

        Args:
            key_id: of the key that they were signed with.
        """
        report.event(batch, self._sealed(batch, key_id, events))

    def add_own_states(self, report: Finish, batch: str, key_id: str, events: Sequence[CallEvent]) -> None:
        """Add those states of the tasks' own that are news, for who asks later than these are told."""
        for event in events:
            if isinstance(event, Progressed) and event.state:
                report.own_state(batch, event.index, 1, self._sealed(batch, key_id, [event]))

    def _sealed(self, batch: str, key_id: str, events: list[CallEvent]) -> bytes:
        news = BatchNews(batch, self._worker, self._id, next(self._numbers), events, self._child)
        return self._codec.seal_events(news, key_id)

    def _add_results(self, report: Finish, run: list[Done]) -> None:
        try:
            self._add_record(report, run)
        except Exception as error:
            if are_builtins_replaced():
                # By a call that runs beside: this one is not to blame. It is told when they are there again.
                raise
            # Something in it cannot be sealed. This process must not die of it: the call would be run again, and kill
            # the next one.
            if len(run) > 1:
                for item in run:
                    self._add_results(report, [item])
            else:
                self._add_record(report, [_untellable(run[0], error)])

    def _add_record(self, report: Finish, run: list[Done]) -> None:
        first = run[0]
        entry = first.job.entry
        states = bytes([item.state for item in run])
        now = time.monotonic()
        record = Record(
            batch=entry.batch,
            first=first.index,
            states=states,
            seconds=[item.seconds for item in run],
            payloads=_payloads_of(run),
            worker=self._worker,
            attempt=attempts.number_of(entry.attempt),
            given={item.index: item.given for item in run if item.given is not None},
            child=self._child,
            told_at=self._server_now(),
            begun=[item.began - now for item in run],
            memo=_names_of(run),
        )
        sealed = self._codec.seal_record(record, entry.key_id)
        for item in run:
            for key, data in item.pieces or ():
                report.blob(entry.batch, key, data)
        report.results(entry.batch, first.index, states, sealed)
        self.chronicle.ended(run, record, now)
        if record.memo:
            report.named(entry.batch, first.index, record.memo)

    def _add_later(self, report: Finish, item: Again | PutAside) -> None:
        try:
            if isinstance(item, Again):
                self._add_again(report, item)
            else:
                self._add_put_aside(report, item)
        except Exception as error:
            if are_builtins_replaced():
                raise
            self._add_record(report, [_untellable(item, error)])

    def _add_again(self, report: Finish, item: Again) -> None:
        entry = item.job.entry
        chunk = item.job.chunk.only(item.index)
        if item.changes is not None:
            chunk = changed(chunk, item.changes, item.payload, entry.address, self._server_now())
        frame = self._codec.seal_chunk(chunk, entry.key_id)
        due_ms = round((self._server_now() + max(0.0, item.delay_s)) * 1000)
        attempt = attempts.after_retry(entry.attempt)
        events: list[CallEvent] = [*last_news(item.index, item.given), _retried(item)]
        # What cannot be sealed has to be seen before it is told that there is another try.
        self.add_news(report, entry.batch, entry.key_id, events)
        self.chronicle.told(item.job, events[-1])
        for key, data in item.pieces:
            report.blob(entry.batch, key, data)
        address, lane = chunk.address or entry.address, chunk.header.lane
        report.again(entry.batch, address, lane, due_ms, item.index, 1, attempt, frame)

    def _add_put_aside(self, report: Finish, item: PutAside) -> None:
        entry = item.job.entry
        chunk = standing_in(item.job.chunk.only(item.index), item.inputs)
        frame = self._codec.seal_chunk(chunk, entry.key_id)
        due_ms = round((self._server_now() + _LOOK_AGAIN_S) * 1000)
        before = tuple(dict.fromkeys(part.batch for one in item.inputs for part in calls_of(one.of)))
        self.add_news(report, entry.batch, entry.key_id, [GivenBack(item.index, 1, before[:_MOST_NAMED])])
        report.later(
            entry.batch,
            entry.address,
            chunk.header.lane,
            due_ms,
            item.index,
            entry.attempt,
            frame,
            new_id(),
            before,
        )

    def _add_unread(self, report: Finish, item: Unread) -> None:
        entry = item.job.entry
        refusal = Refused(entry.batch, item.index, 1, entry.key_id, item.reason, gone=True)
        self.add_news(report, entry.batch, entry.key_id, [GivenBack(item.index), _refusal(refusal)])


def _payloads_of(run: list[Done]) -> Sequence[bytes]:
    """Return the payload of each call of a run; what comes after a failure has ended with that same one."""
    payloads = [item.payload for item in run]
    first = run[0]
    if first.job.handed is None or first.state == SUCCESS_CODE or len(run) == 1:
        return payloads
    if any(one is not payloads[0] for one in payloads):
        return payloads
    return Repeated(payloads[0], len(payloads))  # type: ignore[return-value]


def _names_of(run: list[Done]) -> bytes:
    """Return the names under which the results of a run are kept; empty where they are not."""
    if not run[0].job.header.memo:
        return b""
    places = ((item.job.header.memo, item.index - item.job.chunk.first) for item in run)
    return b"".join(memo.name_at(names, place) for names, place in places)


def _untellable(item: Done | Again | PutAside, error: Exception) -> Done:
    """Return what is told instead of what cannot be."""
    reason = WireError(f"how the call has ended cannot be told: {name_of(error)}: {text_of(error, 500)}")
    return Done(item.job, item.index, FAILURE_CODE, 0.0, failures.pack(reason, with_traceback=False))


def _retried(item: Again) -> Retried:
    ago_s = time.monotonic() - item.began
    # Of what was not begun it is nan, for which max() has 0.
    times = (max(0.0, round(seconds, 4)) for seconds in (ago_s, item.seconds))
    return Retried(
        item.index,
        max(0.0, item.delay_s),
        item.error[:500],
        attempts.number_of(item.job.entry.attempt),
        *times,
    )


def _refusal(item: Refused) -> Refusal:
    """Return the event that tells of a refusal."""
    return Refusal(item.first, item.count, item.reason, item.gone)


def _runs(items: list[Done]) -> list[list[Done]]:
    """Group results into runs of one batch, one attempt and indexes in a row."""
    runs = _runs_in_order(items)
    if len(runs) == 1:
        return runs
    return _runs_in_order(sorted(items, key=lambda item: (item.job.entry.batch, item.index)))


def _runs_in_order(items: list[Done]) -> list[list[Done]]:
    runs: list[list[Done]] = []
    job, following = None, 0
    for item in items:
        if item.index == following and job is not None and (item.job is job or _are_alike(item.job, job)):
            runs[-1].append(item)
        else:
            runs.append([item])
        job, following = item.job, item.index + 1
    return runs


def _are_alike(job: Job, other: Job) -> bool:
    return job.entry.batch == other.entry.batch and job.entry.attempt == other.entry.attempt
