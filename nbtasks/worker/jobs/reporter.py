"""Everything a child has to tell: results, retries, finished entries, and what happens while a call runs.

The main thread flushes between calls; a thread does it while a call takes long, and for calls in threads or in the
event loop. A flush that fails is kept and sent again: the broker lets the first result win.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from nbtasks.broker.redis.delivery import Delivery
from nbtasks.broker.redis.entry import Entry
from nbtasks.broker.redis.finish import Finish
from nbtasks.core import attempts
from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import OperationalError, WireError
from nbtasks.core.events import CallEvent, GivenBack, Progressed, Refusal, Retried, Started, Wrote
from nbtasks.core.ids import new_id
from nbtasks.core.readable import name_of, text_of
from nbtasks.core.states import FAILURE_CODE
from nbtasks.wire.codec import Codec, News, Record
from nbtasks.wire.errors import failures
from nbtasks.wire.values import BlobPiece
from nbtasks.worker.log import LOGGER, log_trouble

from .job import Job
from .telling import tell

T = TypeVar("T")

#: Seconds between two looks at running calls.
TICK_S = 0.1
#: A call that runs this long is reported as started; shorter ones only by their result.
_STARTED_AFTER_S = 0.05
#: Ticks without anything to do after which the thread sleeps until there is something.
_SLEEP_AFTER = 10

#: Address, lane and id of an entry.
Place = tuple[str, str, bytes]


@dataclass(slots=True)
class Done:
    """One ended attempt."""

    job: Job
    index: int
    state: int
    seconds: float
    payload: bytes
    output: list[list[str]] | None = None
    pieces: list[BlobPiece] | None = None
    #: Characters of stdout and stderr.
    printed: list[int] | None = None
    #: How its card shows the value.
    preview: dict[str, str] | None = None
    #: When it began (monotonic); nan for what was not begun.
    began: float = math.nan


@dataclass
class Again:
    """One attempt that is to be followed by another."""

    job: Job
    index: int
    delay_s: float
    error: str
    output: list[list[str]] | None = None
    printed: list[int] | None = None
    seconds: float = 0.0
    began: float = math.nan


@dataclass(frozen=True)
class Refused:
    """Calls that are not run, because their entry, or their function, is not what the client has signed."""

    batch: str
    first: int
    count: int
    key_id: str
    reason: str
    #: Nobody is suspected: large values of theirs are not there, and they were not started.
    gone: bool = False


@dataclass
class Unread:
    """One call that was not started after all: a large argument is gone, and whoever submitted it may have it yet."""

    job: Job
    index: int
    reason: str
    began: float = math.nan


#: A call that runs, since when (monotonic), and the id of the key that it was signed with. Made for each, so a tuple.
_Running = tuple[CurrentCall, float, str]
_Key = tuple[str, int]


@dataclass(slots=True)
class _Notes:
    """What is known of a running call that takes longer than most."""

    told: bool = False
    #: It was revoked, and may run on.
    revoked: bool = False
    progress: tuple[float, float | None, str] | None = None


class Reporter:
    """Collects and sends what one child has to tell.

    Args:
        server_now: the server's time in epoch seconds.
        child: this child's number.
        on_tick: called about ten times a second while calls run.
    """

    def __init__(
        self,
        codec: Codec,
        delivery: Delivery,
        worker: str,
        server_now: Callable[[], float],
        on_tick: Callable[[], None],
        child: int | None = None,
    ) -> None:
        self._codec = codec
        self._child = child
        self._delivery = delivery
        self._worker = worker
        self._server_now = server_now
        self._on_tick = on_tick
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._ended: deque[Done | Again | Unread] = deque()
        self._entries: deque[tuple[Entry, tuple[int, int] | None]] = deque()
        self._refused: deque[Refused] = deque()
        self._id = new_id()
        self._numbers = itertools.count(1)
        self._unsent: Finish | None = None
        self._unsent_entries: list[Entry] = []
        #: Every entry that is in this child's hands.
        self._held: set[Place] = set()
        self._running: dict[_Key, _Running] = {}
        self._notes: dict[_Key, _Notes] = {}
        self._wake = threading.Event()
        self._asleep = False
        self._closed = False
        self.last_flush = 0.0

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._loop, name="nbtasks-reporter", daemon=True).start()

    def wake(self) -> None:
        """Flush soon, on the reporter's thread."""
        self._wake.set()

    @property
    def pending(self) -> int:
        """Ended attempts not sent yet."""
        return len(self._ended)

    def own(self, entry: Entry) -> None:
        """An entry has come into this child's hands."""
        self._held.add(place(entry))

    def disown(self, entry: Entry) -> None:
        """An entry was given back."""
        self._held.discard(place(entry))

    def has(self, entry: Entry) -> bool:
        """Whether an entry is in this child's hands."""
        return place(entry) in self._held

    def hands(self) -> frozenset[Place]:
        """Return the places of all entries that are in this child's hands."""
        return frozenset(self._held.copy())

    # -- told by the executors

    def began(self, call: CurrentCall, key_id: str) -> None:
        """A call starts."""
        self._running[call.batch, call.index] = call, time.monotonic(), key_id
        if self._asleep:
            self.wake()

    def note_progress(self, call: CurrentCall, done: float, total: float | None, message: str) -> None:
        """A call reports how far it is."""
        notes = self._notes_of(call)
        if notes is not None:
            notes.progress = (done, total, message)

    def note_revoked(self, call: CurrentCall) -> None:
        """A running call was revoked; it may end, and is not run again."""
        notes = self._notes_of(call)
        if notes is not None:
            notes.revoked = True

    def was_revoked(self, call: CurrentCall) -> bool:
        """Whether a call that runs was revoked meanwhile."""
        notes = self._notes.get((call.batch, call.index))
        return notes is not None and notes.revoked

    def _notes_of(self, call: CurrentCall) -> _Notes | None:
        """Return the notes on a call, None where it does not run any more."""
        key = call.batch, call.index
        notes = self._notes.setdefault(key, _Notes())
        if key in self._running:
            return notes
        self._notes.pop(key, None)
        return None

    def ended(self, item: Done | Again | Unread) -> None:
        """An attempt is over."""
        job = item.job
        key = job.entry.batch, item.index
        running = self._running.pop(key, None)
        if running is not None:
            item.began = running[1]
        # After that: who notes something now sees that it does not run.
        if self._notes:
            self._notes.pop(key, None)
        self._ended.append(item)
        if self._asleep:
            self.wake()
        with job.lock:
            job.open -= 1
            over = job.open == 0 and job.next >= job.end and not job.given_up and not job.reported
            job.reported = job.reported or over
        if over:
            self._entries.append((job.entry, job.kept))

    def skipped_if_empty(self, job: Job) -> None:
        """A job turned out to have nothing to run."""
        with job.lock:
            empty = job.open == 0 and job.next >= job.end and not job.given_up and not job.reported
            job.reported = job.reported or empty
        if empty:
            self._entries.append((job.entry, job.kept))

    def refused(self, refusal: Refused, entry: Entry | None) -> None:
        """Calls cannot be run; whoever submitted them is told, and the entry ends."""
        self._refused.append(refusal)
        if entry is not None:
            self._entries.append((entry, None))

    def running(self) -> list[tuple[CurrentCall, float]]:
        """Return the running calls and since when (monotonic) each runs."""
        return [(call, since) for call, since, _ in list(self._running.values())]

    # -- sending

    def flush(self) -> None:
        """Send everything that has ended.

        Raises:
            OperationalError: the broker could not be told; it is kept for the next flush.
        """
        with self._flushing:
            report = self._unsent or self._compose()
            while report:
                self._unsent = report
                tell(self._delivery, report, self._not_taken)
                self._note_sent()
                report = self._compose()
            self.last_flush = time.monotonic()

    def _not_taken(self, batch: str, first: int, count: int, reason: str) -> None:
        self._refused.append(Refused(batch, first, count, "", reason))

    def flush_along(self, send: Callable[[Finish | None, Callable[[], None]], T]) -> T:
        """Have everything that has ended sent along with something that takes longer.

        Args:
            send: gets the report, or None, and what to call as soon as the broker has it.

        Raises:
            OperationalError: perhaps the broker could not be told; then it is kept for the next flush.
        """
        held = self._flushing.acquire()
        try:
            report = self._unsent or self._compose()
            goes_along = bool(report and not report.blobs)
            self._unsent = report or None
            if goes_along:

                def told() -> None:
                    nonlocal held
                    self._note_sent()
                    self.last_flush = time.monotonic()
                    held = False
                    self._flushing.release()

                return send(report, told)
        finally:
            if held:
                self._flushing.release()
        self.flush()
        return send(None, lambda: None)

    def _note_sent(self) -> None:
        self._unsent = None
        for entry in self._unsent_entries:
            self.disown(entry)

    def try_flush(self) -> bool:
        """Send everything that has ended; False when the broker cannot be told now."""
        try:
            self.flush()
        except OperationalError as error:
            log_trouble("results are kept until the broker answers again", error)
            return False
        return True

    def close(self) -> None:
        """Stop the thread."""
        self._closed = True
        self._wake.set()

    def _compose(self) -> Finish:
        report = Finish()
        # Entries before results: an entry that is read here had its last result put in place before.
        entries = [self._entries.popleft() for _ in range(len(self._entries))]
        refused = [self._refused.popleft() for _ in range(len(self._refused))]
        items = [self._ended.popleft() for _ in range(len(self._ended))]
        others: list[Again | Unread] = []
        done: list[Done] = []
        for item in items:
            if isinstance(item, Done):
                done.append(item)
            else:
                others.append(item)
        for run in _runs(done):
            self._add_results(report, run)
        for other in others:
            if isinstance(other, Again):
                self._add_next_try(report, other)
            else:
                self._add_unread(report, other)
        for refusal in refused:
            self._add_refused(report, refusal)
        for entry, kept in entries:
            report.done(entry, kept)
        self._unsent_entries = [entry for entry, _ in entries]
        return report

    def _add_results(self, report: Finish, run: list[Done]) -> None:
        try:
            self._add_record(report, run)
        except Exception as error:
            # Something in it cannot be sealed. This process must not die of it: the call would be run again, and kill
            # the next one.
            if len(run) > 1:
                for item in run:
                    self._add_results(report, [item])
            else:
                self._add_record(report, [_untellable(run[0], error)])

    def _add_next_try(self, report: Finish, item: Again) -> None:
        try:
            self._add_again(report, item)
        except Exception as error:
            self._add_record(report, [_untellable(item, error)])

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
            payloads=[item.payload for item in run],
            worker=self._worker,
            attempt=_number_of(entry),
            output={item.index: item.output for item in run if item.output},
            printed={item.index: item.printed for item in run if item.printed},
            previews={item.index: item.preview for item in run if item.preview},
            child=self._child,
            told_at=self._server_now(),
            begun=[item.began - now for item in run],
        )
        sealed = self._codec.seal_record(record, entry.key_id)
        for item in run:
            for key, data in item.pieces or ():
                report.blob(entry.batch, key, data)
        report.results(entry.batch, first.index, states, sealed)

    def _add_again(self, report: Finish, item: Again) -> None:
        entry = item.job.entry
        lane = item.job.header.lane
        frame = self._codec.seal_chunk(item.job.chunk.only(item.index), entry.key_id)
        due_ms = round((self._server_now() + max(0.0, item.delay_s)) * 1000)
        attempt = attempts.after_retry(entry.attempt)
        events: list[CallEvent] = [_retried(item)]
        if item.output and item.printed:
            events.insert(0, Wrote(item.index, item.output, item.printed, over=True))
        # What cannot be sealed has to be seen before it is told that there is another try.
        self._add_news(report, entry.batch, entry.key_id, events)
        report.again(entry.batch, entry.address, lane, due_ms, item.index, 1, attempt, frame)

    def _add_refused(self, report: Finish, item: Refused) -> None:
        self._add_news(report, item.batch, item.key_id, [_refusal(item)])

    def _add_unread(self, report: Finish, item: Unread) -> None:
        entry = item.job.entry
        refusal = Refused(entry.batch, item.index, 1, entry.key_id, item.reason, gone=True)
        self._add_news(report, entry.batch, entry.key_id, [GivenBack(item.index), _refusal(refusal)])

    def _add_news(self, report: Finish, batch: str, key_id: str, events: list[CallEvent]) -> None:
        news = News(batch, self._worker, self._id, next(self._numbers), events, self._child)
        report.event(batch, self._codec.seal_events(news, key_id))

    def _loop(self) -> None:
        idle = 0
        while not self._closed:
            woken = self._wake.wait(None if self._asleep else TICK_S)
            self._wake.clear()
            if not self._has_something():
                idle = 0 if woken else idle + 1
                # Said before it looks once more: what comes after that look wakes it.
                self._asleep = idle >= _SLEEP_AFTER
                self._asleep = self._asleep and not self._has_something()
                continue
            idle, self._asleep = 0, False
            try:
                self._on_tick()
            except Exception:
                # This thread must live: it tells what runs, and flushes for threads and the event loop.
                LOGGER.exception("a look at running calls failed")
            told = self._tell_running()
            waiting = self._ended or self._entries or self._refused or self._unsent
            if told and waiting and not self.try_flush():
                time.sleep(0.5)

    def _has_something(self) -> bool:
        return bool(self._running or self._ended or self._entries or self._refused or self._unsent)

    def _tell_running(self) -> bool:
        events: dict[tuple[str, str], list[CallEvent]] = {}
        for key, (call, since, key_id) in list(self._running.items()):
            try:
                news = self._news(call, since)
            except Exception:
                # A task can reach its own record, and put anything there.
                call.output = None
                continue
            if news:
                events.setdefault((key[0], key_id), []).extend(news)
        if not events:
            return True
        report = Finish()
        for (batch, key_id), items in events.items():
            try:
                self._add_news(report, batch, key_id, items)
            except Exception:
                LOGGER.warning("batch %s: what is new about its running calls cannot be told", batch)
        try:
            self._delivery.finish(report)
        except OperationalError:
            return False
        return True

    def _news(self, call: CurrentCall, since: float) -> list[CallEvent]:
        """Return what is new about a running call, as events."""
        events: list[CallEvent] = []
        notes, now = self._notes_of(call), time.monotonic()
        if notes is None:
            return events
        if not notes.told and now - since >= _STARTED_AFTER_S:
            notes.told = True
            events.append(Started(call.index, round(now - since, 3), call.attempt))
        if notes.progress is not None:
            (done, total, message), notes.progress = notes.progress, None
            events.append(Progressed(call.index, done, total, message))
        if call.output is not None:
            live, printed = call.output.take_live()
            if live:
                events.append(Wrote(call.index, live, printed))
        return events


def _untellable(item: Done | Again, error: Exception) -> Done:
    """Return what is told instead of what cannot be."""
    reason = WireError(f"how the call has ended cannot be told: {name_of(error)}: {text_of(error, 500)}")
    return Done(item.job, item.index, FAILURE_CODE, 0.0, failures.pack(reason, with_traceback=False))


def place(entry: Entry) -> Place:
    """Return where an entry is, which tells it from all others."""
    return entry.address, entry.lane, entry.id


def _number_of(entry: Entry) -> int:
    """Return which try at its calls it is, as people count: losses, too."""
    return attempts.tries(entry.attempt) + attempts.losses(entry.attempt)


def _retried(item: Again) -> Retried:
    ago_s = time.monotonic() - item.began
    # Of what was not begun it is nan, for which max() has 0.
    times = (max(0.0, round(seconds, 4)) for seconds in (ago_s, item.seconds))
    return Retried(item.index, max(0.0, item.delay_s), item.error[:500], _number_of(item.job.entry), *times)


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
