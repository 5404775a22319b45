"""Everything a child has to tell: results, retries, finished entries, and what happens while a call runs.

The main thread flushes between calls; a thread does it while a call takes long, and for calls in threads or in the
event loop. A flush that fails is kept and sent again: the broker lets the first result win.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.locks import call_name
from nbtasks.core.errors import OperationalError
from nbtasks.core.events import CallEvent, Progressed, Started
from nbtasks.core.readable import name_of
from nbtasks.worker.log import LOGGER, log_once, log_trouble
from nbtasks.worker.standing import take_turns

from .bell import Bell
from .composing import Composer
from .ended import Ended, Refused
from .entriesinhand import EntriesInHand
from .job import Job
from .runningcalls import RunningCalls
from .telling import tell

T = TypeVar("T")

#: Seconds between two looks at running calls.
TICK_S = 0.1
#: Ticks without anything to do after which the thread sleeps until there is something.
_SLEEP_AFTER = 10


class Reporter:
    """Collects and sends what one child has to tell.

    Args:
        bell: wakes its thread.
        on_tick: called about ten times a second while calls run.
        on_failure: called when something of it has failed that is no matter of the broker's.
    """

    def __init__(
        self,
        delivery: Delivery,
        composer: Composer,
        running: RunningCalls,
        in_hand: EntriesInHand,
        bell: Bell,
        on_tick: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._delivery = delivery
        self._composer = composer
        self._chronicle = composer.chronicle
        self._running = running
        self._in_hand = in_hand
        self._bell = bell
        self._on_tick = on_tick
        self._on_failure = on_failure
        self._flushing = threading.Lock()
        self._ended: deque[Ended] = deque()
        self._entries: deque[tuple[Entry, tuple[int, int] | None]] = deque()
        self._refused: deque[Refused] = deque()
        #: Calls that are through with their locks.
        self._unlocked: deque[tuple[Job, int]] = deque()
        self._unsent: Finish | None = None
        self._unsent_entries: list[Entry] = []
        self._closed = False
        #: Turns of its thread in a row in which there was nothing to do.
        self._idle = 0
        self.last_flush = 0.0

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._loop, name="nbtasks-reporter", daemon=True).start()

    def wake(self) -> None:
        """Flush soon, on the reporter's thread."""
        self._bell.ring()

    def close(self) -> None:
        """Stop the thread."""
        self._closed = True
        self._bell.ring()

    @property
    def pending(self) -> int:
        """Ended attempts not sent yet."""
        return len(self._ended)

    # -- what there is to tell

    def ended(self, item: Ended) -> None:
        """An attempt is over."""
        job = item.job
        item.began = self._running.ended(job.entry.batch, item.index)
        self._ended.append(item)
        if self._bell.is_needed:
            self._bell.ring()
        if job.is_worked_off(1):
            self._entries.append((job.entry, job.kept))
            if job.header.locks:
                self._unlocked.append((job, item.index))

    def skipped_if_empty(self, job: Job) -> None:
        """A job turned out to have nothing to run."""
        if job.is_worked_off():
            self._entries.append((job.entry, job.kept))

    def refused(self, refusal: Refused, entry: Entry | None) -> None:
        """Calls cannot be run; whoever submitted them is told, and the entry ends."""
        self._refused.append(refusal)
        if entry is not None:
            self._entries.append((entry, None))

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

    def try_flush(self) -> bool:
        """Send everything that has ended; False when the broker cannot be told now."""
        try:
            self.flush()
        except OperationalError as error:
            log_trouble("results are kept until the broker answers again", error)
            return False
        return True

    def last_words(self) -> bool:
        """Send everything, for the process ends; False when the broker cannot be told now."""
        self._chronicle.at_once = True
        return self.try_flush()

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

    def _compose(self) -> Finish:
        # Entries before results: an entry that is read here had its last result put in place before.
        entries, refused = _taken(self._entries), _taken(self._refused)
        unlocked, ended = _taken(self._unlocked), _taken(self._ended)
        try:
            return self._composed(entries, refused, unlocked, ended)
        except BaseException:
            # It comes again, for a call whose end is told to nobody would never end.
            _put_back(self._ended, ended)
            _put_back(self._unlocked, unlocked)
            _put_back(self._refused, refused)
            _put_back(self._entries, entries)
            raise

    def _composed(
        self,
        entries: list[tuple[Entry, tuple[int, int] | None]],
        refused: list[Refused],
        unlocked: list[tuple[Job, int]],
        ended: list[Ended],
    ) -> Finish:
        report = Finish()
        self._composer.add_ended(report, ended)
        for refusal in refused:
            self._composer.add_refused(report, refusal)
        for batch, index in self._running.were_named(ended):
            report.own_state(batch, index, 1, b"")
        for job, index in unlocked:
            for lock in job.header.locks:
                report.unlocked(lock.id, call_name(job.entry.batch, index), self._delivery.consumer)
        self._note_in(report)
        for entry, kept in entries:
            report.done(entry, kept)
        self._unsent_entries = [entry for entry, _ in entries]
        return report

    def _note_in(self, report: Finish) -> None:
        """Add what is noted in the stream of events, on which no result depends."""
        try:
            self._chronicle.add_to(report)
        except Exception as error:
            log_once(f"what has happened cannot be noted: {name_of(error)}", with_traceback=True)

    def _note_sent(self) -> None:
        self._unsent = None
        for entry in self._unsent_entries:
            self._in_hand.remove(entry)
        self._chronicle.write_up()

    def _not_taken(self, batch: str, first: int, count: int, reason: str) -> None:
        self._refused.append(Refused(batch, first, count, "", reason))

    # -- the thread

    def _loop(self) -> None:
        # This thread must live: it tells what runs, and flushes for threads and the event loop.
        take_turns(self._turn, "telling how calls stand", self._on_failure)

    def _turn(self) -> bool:
        woken = self._bell.wait(None if self._bell.is_needed else TICK_S)
        if not self._has_something():
            self._idle = 0 if woken else self._idle + 1
            # Said before it looks once more: what comes after that look rings.
            self._bell.is_needed = self._idle >= _SLEEP_AFTER
            self._bell.is_needed = self._bell.is_needed and not self._has_something()
            return not self._closed
        self._idle, self._bell.is_needed = 0, False
        try:
            self._on_tick()
        except Exception:
            # The rest does not depend on it.
            LOGGER.exception("a look at running calls failed")
        told = self._tell_running()
        if told and self._has_to_flush() and not self.try_flush():
            time.sleep(0.5)
        return not self._closed

    def _has_something(self) -> bool:
        return bool(self._running or self._chronicle) or self._has_to_flush()

    def _has_to_flush(self) -> bool:
        return bool(self._ended or self._entries or self._refused or self._unsent or self._chronicle.is_due)

    def _tell_running(self) -> bool:
        news = self._running.news()
        if not news:
            return True
        report = Finish()
        for (batch, key_id), events in news.items():
            try:
                self._composer.add_news(report, batch, key_id, events)
                self._composer.add_own_states(report, batch, key_id, events)
                self._note(batch, events)
            except Exception:
                LOGGER.warning("batch %s: what is new about its running calls cannot be told", batch)
        try:
            self._delivery.finish(report)
        except OperationalError:
            return False
        return True

    def _note(self, batch: str, events: list[CallEvent]) -> None:
        """Note in the stream of events what calls tell that they have begun, and how far they are."""
        for event in events:
            if isinstance(event, Started | Progressed):
                job = self._running.to_be_noted(batch, event)
                if job is not None:
                    self._chronicle.told(job, event)


def _taken(items: deque[T]) -> list[T]:
    """Take everything out that is there now; others may add to it meanwhile."""
    # Most often there is nothing.
    return [items.popleft() for _ in range(len(items))] if items else []


def _put_back(items: deque[T], taken: list[T]) -> None:
    """Have what was taken out come first again."""
    items.extendleft(taken[::-1])
