"""What is known of one submit: states, results, failures, output. What handles, cards and dashboards read.

Calls are kept in arrays, not in objects: a map of a million calls costs some bytes a call.
"""

from __future__ import annotations

import copy
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbtasks.core import states as st
from nbtasks.core.errors import ConfigError
from nbtasks.core.events import Advanced, CallEvent, Displayed, GivenBack, Progressed, Retried, Started, Wrote
from nbtasks.wire.replay import Window

from .batchengine import BatchEngine
from .described import Described
from .givenout import GivenOut
from .provenance import Provenance
from .records import Records
from .repairs import STRUCK, EndBefore, Repair, Repairs
from .revocation import Revocation
from .seen import Failures, Progress, Running
from .tries import Tries
from .underway import UnderWay
from .watchers import Watcher, Watchers

if TYPE_CHECKING:
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.wire.batchnews import BatchNews
    from nbtasks.wire.record import Record
    from nbtasks.wire.values import Shelf

    from .parcel import Parcel


class Ledger(Described):
    """Everything that is known here about the calls of one batch. Times are local epoch seconds.

    Args:
        engine: brings its calls to workers.
        parcel: what can be sent again; None where another process has submitted it.
    """

    def __init__(
        self,
        id: str,
        n: int,
        origin: Provenance,
        engine: BatchEngine,
        parcel: Parcel | None = None,
        created_at: float | None = None,
    ) -> None:
        super().__init__(id, n, origin, parcel)
        self.engine = engine
        self.created_at = time.time() if created_at is None else created_at
        self.ended_at: float | None = None
        #: Indexes in the order in which they ended.
        self.order = array("I")
        self.under_way = UnderWay()
        self.failures = Failures()
        self.output = GivenOut()
        self.run_seconds = 0.0
        self.revoked = Revocation()
        #: More calls may come: the items are read one by one.
        self.growing = False
        #: It is another client that lets it grow.
        self.followed = False
        self.problem: Exception | None = None
        #: Why a worker could not trust what reached it, if that has happened.
        self.refusal: str | None = None
        #: Calls of it that were submitted again; and the repair that it is itself of another batch.
        self.repairs: Repairs | None = None
        self.mends: Repair | None = None
        self.watchers = Watchers()
        #: What was heard of each process that tells of this batch, so that a repetition does not count.
        self._heard: dict[str, Window] = {}
        self._records = Records(n)
        # The listener applies, and so do threads that ask the store.
        self._apply_lock = threading.Lock()

    # -- how far it is

    @property
    def running(self) -> dict[int, Running]:
        """Calls that run, and where."""
        return self.under_way.running

    @property
    def progress(self) -> dict[int, Progress]:
        """How far calls are that run."""
        return self.under_way.progress

    @property
    def tries(self) -> Tries:
        """Earlier tries at calls, and when the next ones come."""
        return self.under_way.tries

    @property
    def finished_count(self) -> int:
        """Calls that have ended."""
        return len(self.order) - (self.repairs.struck if self.repairs is not None else 0)

    @property
    def failed_count(self) -> int:
        """Calls that have failed."""
        return self.states.count(st.FAILURE_CODE)

    @property
    def revoked_count(self) -> int:
        """Calls that were revoked."""
        return self.states.count(st.REVOKED_CODE)

    @property
    def own_states(self) -> bytearray:
        """The states as the engine has them: what was submitted again has ended for it."""
        return self.states if self.repairs is None else self.repairs.own_states(self.states)

    @property
    def done(self) -> bool:
        """Whether every call has ended."""
        return self.all_ended or self.problem is not None

    @property
    def all_ended(self) -> bool:
        """Whether every call has its final state."""
        if self.growing or len(self.order) < len(self.states):
            return False
        return self.repairs is None or self.finished_count >= len(self.states)

    @property
    def sent_count(self) -> int:
        """Number of calls that were sent: of a batch that grows, room may have been made for more."""
        if not self.growing or self.parcel is None or not self.parcel.sent:
            return self.n
        last = self.parcel.sent[-1]
        return last.first + last.count

    def counts(self) -> dict[str, int]:
        """Return the number of calls in each state, by name."""
        states = self.states
        counts = {name: states.count(code) for code, name in enumerate(st.NAMES)}
        for index in list(self.running):
            code = states[index]
            if code < st.STARTED_CODE:
                counts[st.NAMES[code]] -= 1
                counts[st.STARTED] += 1
        return counts

    def state(self, index: int) -> str:
        """Return the name of a call's state."""
        return st.NAMES[self.states[index]]

    def record(self, index: int) -> tuple[Record, Any] | None:
        """Return the record that a call's result is in, and its payload; None before its end."""
        return self._records.of(index)

    def payloads(self) -> Iterator[bytes | memoryview | None]:
        """Yield what :meth:`record` has of each call, without the record: for those who want all of them."""
        return self._records.payloads()

    def heard_at(self, index: int) -> float | None:
        """Return when the end of a call was heard of, or when the batch ended if that was before."""
        heard_at = self._records.heard_at(index)
        return heard_at if heard_at is None or self.ended_at is None else min(heard_at, self.ended_at)

    def known_records(self, own: bool = False) -> list[tuple[Record, int, int]]:
        """Return every record that counts, with each (first, count) that it counts for.

        Args:
            own: as the engine has them.
        """
        return self._records.all(self.repairs.own_records if own and self.repairs is not None else None)

    def record_number(self, index: int) -> int:
        """Return the number of the record that a call's result is in."""
        return self._records.number(index)

    @property
    def result_bytes(self) -> int:
        """How large its results are, as they travel and as far as they are known."""
        return self._records.size()

    @property
    def shelf(self) -> Shelf:
        """Where large results are."""
        return self.engine.shelf

    # -- watching and waiting

    def watch(self) -> Watcher:
        """Return a view of what changes from now on."""
        return self.watchers.add()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every call has ended, at most ``timeout`` seconds; returns whether it has."""
        return self.wait_for(lambda: self.done, timeout)

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until ``ready()``, which is asked after every change."""
        return self.engine.wait_for(ready, timeout, self.n == 1)

    def without_arguments(self) -> Ledger:
        """Return the same, which has ended, with its results and without what it was submitted with."""
        other = copy.copy(self)
        other.parcel, other.watchers, other.repairs = None, Watchers(), None
        other.order = self.order[:] if self.repairs is None else array("I", self.ended())
        return other

    def to_be_shown(self) -> Ledger:
        """Return the same without its results, too: states, failures and output are what a card shows."""
        other = self.without_arguments()
        other._records = Records(self.n)
        return other

    def ended(self) -> Iterator[int]:
        """Yield the indexes that have ended so far, in the order in which they did."""
        yield from (index for index in self.order if index != STRUCK)

    # -- acting

    def revoke(self, terminate: Terminate = True, index: int = -1, how: str = "revoked") -> None:
        """Revoke all calls that have not ended, or one, which "was" ``how``; ``terminate`` stops running ones, too."""
        self.revoked.how = how
        for repair in self.repairs.open(self.states, index) if self.repairs is not None else ():
            repair.again.revoke(terminate, index if index < 0 else repair.place(index), how)
        own = self.own_states if index < 0 else self.own_states[index : index + 1]
        if self.repairs is None or self.growing or min(own) < st.FIRST_READY_CODE:
            self.engine.revoke(self, index, terminate)

    def forget(self) -> None:
        """Drop the results from the broker once all calls have ended; handles that exist keep what they have."""
        self.engine.forget(self)
        for repair in self.repairs.all() if self.repairs is not None else ():
            self.engine.forget(repair.again)

    def why_pending(self) -> str | None:
        """Say in one sentence why nothing happens, with what to do; None where there is no reason to worry."""
        if self.done:
            return None
        again = self.repairs.open(self.states) if self.repairs is not None else []
        return next(filter(None, (one.again.why_pending() for one in again)), self.engine.why_pending(self))

    def retry_failed(self, index: int | None = None) -> None:
        """Submit the calls again that failed or were revoked, or one of them; what becomes of them counts here.

        Raises:
            ConfigError: nothing failed, or another process submitted the batch.
        """
        if self.parcel is None:
            raise ConfigError(
                f"the arguments of {self.name} ({self.id}) are not known in this process; submit it again"
            )
        self.engine.retry_failed(self, self.parcel, index)

    # -- written by the engine

    def grow(self, n: int) -> None:
        """Make room for more calls."""
        more = max(0, n - len(self.states))
        self._records.grow(more)
        self.states.extend(bytes(more))

    def shrink(self, n: int) -> None:
        """Give back room that was made for calls that never came."""
        del self.states[n:]
        self._records.shrink(n)

    def leave_open(self, followed: bool = False) -> None:
        """More calls may come.

        Args:
            followed: another client lets it grow.
        """
        self.growing, self.followed = True, followed

    def complete(self) -> None:
        """No more calls come."""
        self.growing = self.followed = False

    def note_problem(self, error: Exception) -> None:
        """Nobody will tell how it ends; whoever waits for it gets the error."""
        self.problem = error
        if self.mends is not None:
            self.mends.give_up()

    def note_end(self, moment: float) -> None:
        """It has ended at a moment (local epoch seconds), whenever that is heard of here."""
        self.ended_at = moment

    def note_refusal(self, reason: str) -> bool:
        """A worker could not trust what reached it; returns whether that is new."""
        before, self.refusal = self.refusal, reason
        return before != reason

    def note_revoked(self, index: int) -> None:
        """A call may run and end, and is not to be run again; -1: all of them."""
        self.revoked.running.add(index)

    def note_past(self, codes: bytes, ended_at: float | None, run_seconds: float) -> None:
        """Its first calls have ended with these states; more is not remembered of it."""
        self.states[: len(codes)] = codes
        self.order = array("I", range(len(codes)))
        self.ended_at = ended_at
        self.run_seconds = run_seconds

    def reopen(self, repair: Repair, ends: Mapping[int, EndBefore]) -> None:
        """Calls that had ended so are open again: ``repair`` tells what becomes of them."""
        with self._apply_lock:
            if self.repairs is None:
                self.repairs = Repairs()
            # It is not over any more before anything else of it is seen.
            self.repairs.note(repair, ends, self.order, self.ended_at)
            self.ended_at = None
            for index in ends:
                self.states[index] = st.PENDING_CODE
                self._records.count_for(-1, index, 1)

    def restore(self, index: int, end: EndBefore) -> None:
        """A call has ended as it had before: nothing has become of its repair."""
        with self._apply_lock:
            self._records.count_for(end.record, index, 1)
            self.states[index] = end.code
            self.order.append(index)
            self._note(index, 1)

    def apply_record(self, record: Record, ranges: list[tuple[int, int]]) -> list[int]:
        """Take results in; what has ended before does not change. Returns the indexes that were new."""
        fresh = self.take_record(record, ranges if self.repairs is None else self.repairs.others(ranges))
        if fresh and self.mends is not None:
            self.mends.take_record(record, fresh)
        return fresh

    def take_record(self, record: Record, ranges: list[tuple[int, int]]) -> list[int]:
        """Do the same, whoever tells it: also of what was submitted again."""
        with self._apply_lock:
            number = self._records.add(record)
            fresh: list[int] = []
            for first, count in ranges:
                fresh += self._apply_range(record, number, first, count)
            if not fresh:
                self._records.drop_last()
            return fresh

    def lose(self, index: int, record: Record) -> None:
        """A call has succeeded, and its value is gone since: ``record`` says so in the place of its result."""
        with self._apply_lock:
            if self.states[index] != st.SUCCESS_CODE:
                return
            self._records.count_for(self._records.add(record), index, 1)
            self.states[index] = st.FAILURE_CODE
            self.failures.note(record, index)
            self._note(index, 1)

    def _apply_range(self, record: Record, number: int, first: int, count: int) -> list[int]:
        end = first + count
        codes = record.states[first - record.first : end - record.first]
        if max(self.states[first:end], default=0) < st.FIRST_READY_CODE:
            indexes = list(range(first, end))
            # The place before the state: whoever sees the state must find the result.
            self._records.count_for(number, first, count)
            self.states[first:end] = codes
        else:
            indexes = [index for index in range(first, end) if self.states[index] < st.FIRST_READY_CODE]
            for index in indexes:
                self._records.count_for(number, index, 1)
                self.states[index] = record.states[index - record.first]
        if indexes:
            self._count(record, indexes, codes)
            self._note(first, count)
        return indexes

    def _count(self, record: Record, indexes: list[int], codes: bytes) -> None:
        start = record.first
        self.run_seconds += sum(record.seconds[index - start] for index in indexes)
        self.under_way.over(indexes)
        if codes.count(st.SUCCESS_CODE) != len(codes):
            for index in indexes:
                if record.states[index - start] == st.FAILURE_CODE:
                    self.failures.note(record, index)
        self.output.end(record)
        # Last, for it is what makes the batch end.
        self.order.extend(indexes)

    def is_new(self, news: BatchNews) -> bool:
        """Whether this is heard for the first time."""
        return self._heard.setdefault(news.reporter, Window()).fresh(news.number)

    def apply_event(self, worker: str, event: CallEvent, child: int | None = None) -> None:
        """Take in what happens while calls run."""
        if isinstance(event, GivenBack):
            self.note_given(event.index, event.count)
            return
        if self.repairs is None or event.index not in self.repairs:
            self.take_event(worker, event, child)
        if self.mends is not None:
            self.mends.take_event(worker, event, child)

    def take_event(self, worker: str, event: CallEvent, child: int | None = None) -> None:
        """Do the same, whoever tells it."""
        index = event.index
        if not 0 <= index < self.n or self.states[index] >= st.FIRST_READY_CODE:
            return
        if isinstance(event, Started):
            self.under_way.begin(event, worker, child)
            self.states[index] = st.STARTED_CODE
        elif isinstance(event, Progressed):
            self.under_way.get_on(event)
        elif isinstance(event, Wrote | Displayed | Advanced):
            self.output.take(event)
        elif isinstance(event, Retried):
            self.states[index] = st.RETRY_CODE
            self.under_way.begin_again(event, worker, child)
            self.output.forget(index)
        self._note(index, 1)

    def note_given(self, first: int, count: int) -> None:
        """Calls were given back by a worker, or lost with it: those that ran wait again."""
        whole = [(max(0, first), min(count, self.n))]
        given = whole if self.repairs is None else self.repairs.others(whole)
        for one, many in given:
            self.take_given(one, many)
        if self.mends is not None:
            self.mends.take_given(first, count)

    def take_given(self, first: int, count: int) -> None:
        """Do the same, whoever tells it."""
        first, end = max(0, first), min(first + count, self.n)
        with self._apply_lock:
            for index in range(first, end):
                if self.states[index] < st.FIRST_READY_CODE:
                    self.states[index] = st.PENDING_CODE
                    self.under_way.over((index,))
                    self.output.forget(index)
        self._note(first, max(0, end - first))

    def _note(self, first: int, count: int) -> None:
        if self.done and self.ended_at is None:
            self.ended_at = time.time()
            if self.parcel is not None:
                self.parcel.settle(succeeded=not self.failed_count)
        self.watchers.note(first, count)

    def note_change(self) -> None:
        """Wake watchers: something changed that is not a call's state."""
        self._note(0, 0)
