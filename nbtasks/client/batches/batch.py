"""The live record of one submit: states, results, failures, output. What handles and cards read.

Calls are kept in arrays, not in objects: a map of a million calls costs some bytes a call.
"""

from __future__ import annotations

import copy
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from typing import TYPE_CHECKING, Any

from nbtasks.core import states as st
from nbtasks.core.brief import brief
from nbtasks.core.errors import ConfigError
from nbtasks.core.ids import call_id
from nbtasks.core.ranges import runs
from nbtasks.wire.errors import failures
from nbtasks.wire.replay import Window

from .sent import Refusals, Sent

if TYPE_CHECKING:
    from nbtasks.wire.codec import News, Record
    from nbtasks.wire.values import BlobPiece, Shelf

_MOST_FAILURES = 1000
_MOST_LINES = 200
#: Seconds for which a thread that waits reads by itself; who waits longer has time.
_SHORT_S = 0.25


@dataclass(frozen=True)
class Running:
    """A call that runs. ``started_at`` is local epoch time."""

    worker: str
    started_at: float
    attempt: int


@dataclass(frozen=True)
class Failure:
    """A call that has failed, for cards and tables."""

    index: int
    type: str
    message: str
    traceback: str
    attempts: int
    worker: str


@dataclass(frozen=True)
class OutputLine:
    """One line that a call has printed; ``stream`` is stdout or stderr."""

    index: int
    stream: str
    text: str


@dataclass(frozen=True)
class Progress:
    """How far a call is, as the task reported it."""

    done: float
    total: float | None
    message: str


class Watcher:
    """One reader's view of what has changed in a batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._ranges: list[tuple[int, int]] = []
        self._event = threading.Event()

    def take(self) -> list[tuple[int, int]]:
        """Return the (first, count) of what has changed since the last look."""
        self._event.clear()
        ranges, self._ranges = self._ranges, []
        return ranges

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for any change, at most ``timeout`` seconds."""
        return self._event.wait(timeout)

    def close(self) -> None:
        """Stop watching."""
        self._batch._watchers = [item for item in self._batch._watchers if item is not self]

    def _note(self, first: int, count: int) -> None:
        if count:
            self._ranges.append((first, count))
        self._event.set()


@dataclass
class Origin:
    """Where a batch comes from and what it is called."""

    name: str
    queue: str
    label: str | None = None
    kind: str = "call"
    #: The notebook or script that submitted it.
    place: str = ""
    quiet: bool = False
    single: bool = True
    eta_at: float | None = None
    on_error: str = "raise"


@dataclass
class Hooks:
    """What a batch asks of its session."""

    changed: threading.Condition
    #: Reads what the broker tells, on the thread that waits, for so many seconds at most, and eagerly where it is about
    #: one short call; returns whether it could.
    read_here: Callable[[float, bool], bool]
    revoke: Callable[[Batch, int, bool], None]
    why_pending: Callable[[Batch], str | None]
    shelf: Shelf


class Batch:
    """Everything that is known here about the calls of one submit. Times are local epoch seconds."""

    def __init__(
        self, id: str, n: int, origin: Origin, hooks: Hooks, created_at: float | None = None
    ) -> None:
        self.id = id
        self.origin_info = origin
        self.name = origin.name
        self.label = origin.label
        self.queue = origin.queue
        self.kind = origin.kind
        self.origin = origin.place
        self.quiet = origin.quiet
        self.created_at = time.time() if created_at is None else created_at
        self.ended_at: float | None = None
        #: When its calls may start, in ms of the server's time; 0: at once.
        self.due_ms = 0
        self.states = bytearray(n)
        #: Indexes in the order in which they ended.
        self.order = array("I")
        self.running: dict[int, Running] = {}
        self.retrying: dict[int, float] = {}
        self.failures: dict[int, Failure] = {}
        self.output: deque[OutputLine] = deque(maxlen=_MOST_LINES)
        self.progress: dict[int, Progress] = {}
        self.run_seconds = 0.0
        self.failed_count = 0
        self.revoked_count = 0
        #: Calls that were revoked while they ran, and may end; -1 is all of them. They are not to be run again.
        self.revoked_running: set[int] = set()
        #: More calls may come: the items are read one by one.
        self.growing = False
        #: It is another client that lets it grow.
        self.followed = False
        self.problem: Exception | None = None
        self.calls: Any = None
        #: Content hash and frame of the function, kept until the end in case the broker loses it.
        self.function = ""
        self.function_frame = b""
        self.blobs: list[BlobPiece] = []
        #: Its large arguments, when it has ended.
        self.spent: list[BlobPiece] = []
        self.task: Any = None
        #: Submits again what failed; None where the arguments are not known.
        self.retry: Callable[[Batch], Any] | None = None
        #: Packs calls again for workers that do not see this machine's files.
        self.repack: Callable[[Batch, Sequence[Sent]], tuple[list[Sent], list[BlobPiece]]] | None = None
        self.sent: list[Sent] = []
        #: Some of that is not with the outbox yet.
        self.sending = False
        self.refusals = Refusals()
        #: Why a worker could not trust what reached it, if that has happened.
        self.refusal: str | None = None
        self.callbacks: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        #: Calls whose output was shown while they ran: what is kept of it is not shown a second time.
        #: Call -> how many characters of its stdout and stderr were shown while it ran.
        self._shown_output: dict[int, list[int]] = {}
        #: What was heard of each process that tells of this batch, so that a repetition does not count.
        self._heard: dict[str, Window] = {}
        self.hooks = hooks
        self._records: list[Record] = []
        #: When each of them was taken in.
        self._heard_at: list[float] = []
        self._where = array("i", (-1,)) * n
        self._watchers: list[Watcher] = []
        self._watch_lock = threading.Lock()
        # The listener applies, and so do threads that ask the store.
        self._apply_lock = threading.Lock()

    # -- reading

    @property
    def n(self) -> int:
        """Number of calls."""
        return len(self.states)

    @property
    def finished_count(self) -> int:
        """Calls that have ended."""
        return len(self.order)

    @property
    def done(self) -> bool:
        """Whether every call has ended."""
        return self.all_ended or self.problem is not None

    @property
    def all_ended(self) -> bool:
        """Whether every call has its final state."""
        return len(self.order) >= len(self.states) and not self.growing

    @property
    def sent_something(self) -> bool:
        """Whether calls of it are with the broker, so that results may come."""
        return bool(self.sent)

    @property
    def submitted_here(self) -> bool:
        """Whether this process has submitted it, and can do so again as long as it has not ended."""
        return bool(self.function_frame)

    @property
    def rate_limit(self) -> str | None:
        """The task's rate limit, such as ``10/s``, as far as known: of another process's batch it is not."""
        return None if self.task is None else self.task.options.rate_limit

    def shares_limit_with(self, other: Batch) -> bool:
        """Whether its calls wait for the same permits, as far as known."""
        limit = (self.rate_limit, self.name)
        return self is other or (self.rate_limit is not None and limit == (other.rate_limit, other.name))

    @property
    def sent_count(self) -> int:
        """Number of calls that were sent: of a batch that grows, room may have been made for more."""
        last = self.sent[-1] if self.growing and self.sent else None
        return self.n if last is None else last.first + last.count

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

    def call_id(self, index: int) -> str:
        """Return a call's id."""
        return call_id(self.id, index, 1 if self.origin_info.single else None)

    def call_label(self, index: int) -> str:
        """Return the arguments of a call in short, for tooltips and lists; no code of theirs runs."""
        if self.calls is None or index >= len(self.calls):
            return f"#{index}"
        args, kwargs = self.calls[index]
        parts = [brief(value) for value in args]
        parts += [f"{name}={brief(value)}" for name, value in kwargs.items()]
        return ", ".join(parts)[:200]

    def record(self, index: int) -> tuple[Record, Any] | None:
        """Return the record that a call's result is in, and its payload; None before its end."""
        number = self._where[index]
        if number < 0:
            return None
        record = self._records[number]
        return record, record.payloads[index - record.first]

    def payloads(self) -> Iterator[bytes | memoryview | None]:
        """Yield what :meth:`record` has of each call, without the record: for those who want all of them."""
        at = 0
        for number, group in groupby(self._where):
            count = len(list(group))
            if number < 0:
                yield from repeat(None, count)
            else:
                record = self._records[number]
                yield from record.payloads[at - record.first : at - record.first + count]
            at += count

    def heard_at(self, index: int) -> float | None:
        """Return when the end of a call was heard of, or when the batch ended if that was before."""
        number = self._where[index]
        if number < 0:
            return None
        heard_at = self._heard_at[number]
        return heard_at if self.ended_at is None else min(heard_at, self.ended_at)

    def known_records(self) -> list[tuple[Record, int, int]]:
        """Return every record that counts, with each (first, count) that it counts for."""
        found = []
        for first, count in runs(index for index, number in enumerate(self._where) if number >= 0):
            at = first
            for number, group in groupby(self._where[first : first + count]):
                n = len(list(group))
                found.append((self._records[number], at, n))
                at += n
        return found

    def seconds(self, index: int) -> float | None:
        """Return how long a call ran."""
        found = self.record(index)
        return None if found is None else float(found[0].seconds[index - found[0].first])

    @property
    def shelf(self) -> Shelf:
        """Where large results are."""
        return self.hooks.shelf

    # -- watching and waiting

    def watch(self) -> Watcher:
        """Return a view of what changes from now on."""
        watcher = Watcher(self)
        with self._watch_lock:
            self._watchers = [*self._watchers, watcher]
        return watcher

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every call has ended, at most ``timeout`` seconds; returns whether it has."""
        return self.wait_for(lambda: self.done, timeout)

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until ``ready()``, which is asked after every change."""
        began = time.monotonic()
        deadline = None if timeout is None else began + timeout
        changed, read_here = self.hooks.changed, self.hooks.read_here
        while not ready():
            now = time.monotonic()
            left = 0.25 if deadline is None else min(0.25, deadline - now)
            if left <= 0:
                return False
            if now - began < _SHORT_S and read_here(left, self.n == 1):
                continue
            with changed:
                if not ready():
                    # In short steps, so that the Stop button gets through on every platform.
                    changed.wait(left)
        return True

    def without_arguments(self) -> Batch:
        """Return the same, which has ended, with its results and without what it was submitted with."""
        other = copy.copy(self)
        other.calls = other.task = other.retry = other.repack = None
        other.blobs, other.spent, other.callbacks, other._watchers = [], [], [], []
        return other

    def to_be_shown(self) -> Batch:
        """Return the same without its results, too: states, failures and output are what a card shows."""
        other = self.without_arguments()
        other._records, other._heard_at, other._where = [], [], array("i", (-1,)) * self.n
        return other

    def ended(self) -> Iterator[int]:
        """Yield the indexes that have ended so far, in the order in which they did."""
        yield from self.order

    # -- acting

    def revoke(self, terminate: bool = True, index: int = -1) -> None:
        """Revoke all calls that have not ended, or one of them; running ones are stopped with ``terminate``."""
        self.hooks.revoke(self, index, terminate)

    def why_pending(self) -> str | None:
        """Say in one sentence why nothing happens, with what to do; None where there is no reason to worry."""
        return None if self.done else self.hooks.why_pending(self)

    def retry_failed(self) -> Any:
        """Submit the calls again that failed or were revoked, as a new map.

        Raises:
            ConfigError: nothing failed, or another process submitted the batch.
        """
        if self.retry is None:
            raise ConfigError(
                f"the arguments of {self.name} ({self.id}) are not known in this process; submit it again"
            )
        return self.retry(self)

    # -- written by the session

    def grow(self, n: int) -> None:
        """Make room for more calls."""
        more = max(0, n - len(self.states))
        self._where.extend([-1] * more)
        self.states.extend(bytes(more))

    def shrink(self, n: int) -> None:
        """Give back room that was made for calls that never came."""
        del self.states[n:]
        del self._where[n:]

    def apply_record(self, record: Record, ranges: list[tuple[int, int]]) -> list[int]:
        """Take results in; what has ended before does not change. Returns the indexes that were new."""
        with self._apply_lock:
            number = len(self._records)
            self._records.append(record)
            self._heard_at.append(time.time())
            fresh: list[int] = []
            for first, count in ranges:
                fresh += self._apply_range(record, number, first, count)
            if not fresh:
                self._records.pop()
                self._heard_at.pop()
            return fresh

    def lose(self, index: int, record: Record) -> None:
        """A call has succeeded, and its value is gone since: ``record`` says so in the place of its result."""
        with self._apply_lock:
            if self.states[index] != st.SUCCESS_CODE:
                return
            self._records.append(record)
            self._heard_at.append(time.time())
            self._where[index] = len(self._records) - 1
            self.states[index] = st.FAILURE_CODE
            self._count_failure(record, index)
            self._note(index, 1)

    def _apply_range(self, record: Record, number: int, first: int, count: int) -> list[int]:
        end = first + count
        codes = record.states[first - record.first : end - record.first]
        if max(self.states[first:end], default=0) < st.FIRST_READY_CODE:
            indexes = list(range(first, end))
            # The place before the state: whoever sees the state must find the result.
            self._where[first:end] = array("i", (number,)) * count
            self.states[first:end] = codes
        else:
            indexes = [index for index in range(first, end) if self.states[index] < st.FIRST_READY_CODE]
            for index in indexes:
                self._where[index] = number
                self.states[index] = record.states[index - record.first]
        if indexes:
            self._count(record, indexes, codes)
            self._note(first, count)
        return indexes

    def _count(self, record: Record, indexes: list[int], codes: bytes) -> None:
        start = record.first
        self.run_seconds += sum(record.seconds[index - start] for index in indexes)
        if self.running or self.progress or self.retrying:
            for index in indexes:
                self.running.pop(index, None)
                self.progress.pop(index, None)
                self.retrying.pop(index, None)
        if codes.count(st.SUCCESS_CODE) != len(codes):
            for index in indexes:
                if record.states[index - start] != st.SUCCESS_CODE:
                    self._count_failure(record, index)
        for index, parts in record.output.items():
            self._add_rest(index, parts, record.printed.get(index))
            self._shown_output.pop(index, None)
        # Last, for it is what makes the batch end.
        self.order.extend(indexes)

    def _count_failure(self, record: Record, index: int) -> None:
        if record.states[index - record.first] == st.REVOKED_CODE:
            self.revoked_count += 1
            return
        self.failed_count += 1
        if len(self.failures) < _MOST_FAILURES:
            failure = failures.unpack(record.payloads[index - record.first])
            self.failures[index] = Failure(
                index, failure.type_name, failure.message, failure.text, record.attempt, record.worker
            )

    def is_new(self, news: News) -> bool:
        """Whether this is heard for the first time."""
        return self._heard.setdefault(news.reporter, Window()).fresh(news.number)

    def apply_event(self, worker: str, event: dict[str, Any]) -> None:
        """Take in what happens while calls run."""
        index = int(event["i"])
        if event["t"] == "given":
            self.note_given(index, int(event["n"]))
            return
        if not 0 <= index < self.n or self.states[index] >= st.FIRST_READY_CODE:
            return
        kind = event["t"]
        if kind == "started":
            self.running[index] = Running(
                worker, time.time() - float(event.get("ago", 0)), int(event.get("a", 1))
            )
            self.states[index] = st.STARTED_CODE
        elif kind == "progress":
            self.progress[index] = Progress(event["d"], event["n"], str(event["m"]))
        elif kind == "output":
            if "k" in event:
                self._add_rest(index, event["o"], event["u"])
            else:
                for stream, text in event["o"]:
                    self._add_output(index, stream, text)
            self._shown_output[index] = event["u"]
        elif kind == "retry":
            self.states[index] = st.RETRY_CODE
            self.running.pop(index, None)
            self._shown_output.pop(index, None)
            self.retrying[index] = time.time() + float(event.get("in", 0))
        self._note(index, 1)

    def note_given(self, first: int, count: int) -> None:
        """Calls were given back by a worker, or lost with it: those that ran wait again."""
        first, end = max(0, first), min(first + count, self.n)
        with self._apply_lock:
            for index in range(first, end):
                if self.states[index] < st.FIRST_READY_CODE:
                    self.states[index] = st.PENDING_CODE
                    self.running.pop(index, None)
                    self.progress.pop(index, None)
                    self.retrying.pop(index, None)
                    self._shown_output.pop(index, None)
        self._note(first, max(0, end - first))

    def _add_rest(self, index: int, kept: list[list[str]], printed: list[int] | None) -> None:
        """Show of all that is kept of a call's output what was not shown while it ran."""
        shown = self._shown_output.get(index)
        if shown is None or printed is None:
            rest = kept
        else:
            rest = _last_of(kept, [count - seen for count, seen in zip(printed, shown, strict=True)])
        for stream, text in rest:
            self._add_output(index, stream, text)

    def _add_output(self, index: int, stream: str, text: str) -> None:
        name = "stdout" if stream == "o" else "stderr"
        last = self.output[-1] if self.output else None
        if last is not None and last.index == index and last.stream == name and not last.text.endswith("\n"):
            text = last.text + text
            self.output.pop()
        for line in text[-64 * 1024 :].splitlines(keepends=True)[-_MOST_LINES:]:
            self.output.append(OutputLine(index, name, line))

    def _note(self, first: int, count: int) -> None:
        if self.done and self.ended_at is None:
            self.ended_at = time.time()
            self.spent, self.blobs = self.blobs, []
            self.sent, self.function_frame = [], b""
        for watcher in self._watchers:
            watcher._note(first, count)

    def note_change(self) -> None:
        """Wake watchers: something changed that is not a call's state."""
        self._note(0, 0)


def _last_of(parts: list[list[str]], wanted: list[int]) -> list[list[str]]:
    """Return so many of the last characters of stdout and of stderr, in their order."""
    left_out = [-count for count in wanted]
    for stream, text in parts:
        left_out[stream == "e"] += len(text)
    rest = []
    for stream, text in parts:
        cut = min(max(0, left_out[stream == "e"]), len(text))
        left_out[stream == "e"] -= cut
        if cut < len(text):
            rest.append([stream, text[cut:]])
    return rest
