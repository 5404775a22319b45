"""The engine of an App with an executor: calls run in its threads or processes, and all else is in this process."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import secrets
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.capabilities import Capabilities
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.notyet import said_of_eta, said_of_next_try
from nbtasks.client.batches.parcel import Parcel
from nbtasks.client.batches.registry import Registry
from nbtasks.client.home import BoundFor, Home
from nbtasks.client.submitting import dispatch, fingerprint
from nbtasks.client.submitting.chunking import wanted
from nbtasks.client.submitting.shipping import refuse_bound_to_kernel
from nbtasks.client.workerinfo import WorkerInfo
from nbtasks.core import states as st
from nbtasks.core.context import current_call, runs_call
from nbtasks.core.errors import ConfigError, TaskRevokedError, UnknownCall, WorkerLostError, WouldDeadlock
from nbtasks.core.readable import name_of, text_of
from nbtasks.core.shownlines import lines_for
from nbtasks.wire.errors import failures
from nbtasks.wire.pickling import simple_call
from nbtasks.wire.record import Record
from nbtasks.wire.values import keys_of

from .errand import Answer, Errand
from .inline import ParcelShelf
from .lacking import Lacking
from .line import Line, Load, Stretch
from .running import onlookers, pack_function
from .sight import Sight

if TYPE_CHECKING:
    from nbtasks.client.batches.parcel import Call, CallOptions
    from nbtasks.client.definition import Definition
    from nbtasks.core.events import Retried
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.wire.modules.manifest import Needs
    from nbtasks.wire.values import BlobPiece

_log = logging.getLogger("nbtasks")
#: Bytes of a function that goes along with every errand; a larger one only where it is not known to be there.
_SMALL_FUNCTION = 64 * 1024
#: Seconds that what waits has to be handed over when the App is closed.
_HAND_OVER_S = 2.0
_QUEUE = "default"


class ExecutorEngine(Lacking):
    """Any executor of concurrent.futures, or what has its ``submit`` and its futures.

    Args:
        name: the App's.
        result_limit: largest result in bytes.
    """

    def __init__(self, executor: Executor, name: str, result_limit: int) -> None:
        if not callable(getattr(executor, "submit", None)):
            raise ConfigError(
                f"engine: {name_of(executor)} is no executor: give an object with submit(), such as "
                "concurrent.futures.ThreadPoolExecutor(4); leave it out for workers behind a broker"
            )
        self.executor = executor
        self.title = type(executor).__name__
        self.slots: int | None = _slots_of(executor)
        super().__init__(Capabilities(f"a {self.title}"))
        self.registry = Registry()
        self.mark = object()
        self.shelf = ParcelShelf()
        self.unsent = ""
        self._token = secrets.token_hex(8)
        self._pid = os.getpid()
        self._closed = False
        self._result_limit = result_limit
        self.home = Home(f"the {self.title} of process {self._pid}", self._token, "", name)
        #: Task -> its function as it was packed last: fingerprint, hash and bytes.
        self._functions: weakref.WeakKeyDictionary[Definition, tuple[Any, str, bytes]] = (
            weakref.WeakKeyDictionary()
        )
        #: Hash of a large function -> how often it was sent.
        self._times_sent: dict[str, int] = {}
        self._waiting_inside = 0
        self._lock = threading.Lock()
        self._line = Line(
            executor, self.slots, self._size, self._errand, self._hear, self.registry.announce, self._look
        )
        self._sight = Sight(self._ledger)
        onlookers[self._token] = self._sight

    def _ledger(self, batch: str) -> Ledger | None:
        # One that has ended by being revoked may have calls at the executor that are not to begin.
        return self.registry.known(batch)

    @property
    def usable(self) -> bool:
        """Whether it is open, and belongs to this process."""
        return not self._closed and self._pid == os.getpid()

    def check_open(self, name: str) -> None:
        """Raise ConfigError where nobody tells here any more how calls end."""
        if self._closed:
            raise ConfigError(
                f"the App that {name} was submitted through is closed, so its end is not told any more: wait before "
                "you close it"
            )
        if self._pid != os.getpid():
            raise ConfigError(f"{name} was submitted by another process, and its end is told there only")

    # -- submitting

    def checked(self, options: CallOptions) -> CallOptions:
        """Return options; what the executor cannot do is refused."""
        self.capabilities.check(options.task)
        return options

    def submit_call(self, task: Definition, call: Call, options: CallOptions) -> tuple[Ledger, int]:
        """Submit one call."""
        parcel = Parcel(task, options, [call])
        payload = simple_call(call)
        if payload is None:
            packer = dispatch.packer_of(self, task, options)
            payload, parcel.blobs = packer.payload(call, 0), packer.pieces
        batch = dispatch.ledger_of(self, parcel, 1, "call")
        self.submit(batch, parcel, [payload])
        return batch, 0

    def submit(
        self, batch: Ledger, parcel: Parcel, payloads: Iterable[bytes], chunk: int | None = None
    ) -> None:
        """Submit the calls of a map."""
        if not batch.n:
            self.registry.note_over(batch)
            return
        self._pack(parcel)
        packed = list(payloads)
        self.shelf.keep(parcel, parcel.blobs)
        self.registry.add(batch)
        self._line.put(
            Stretch(Load(batch, parcel, parcel.frame, 0, packed, chunk), 0, len(packed)), self._due_at(parcel)
        )

    def submit_reusing(
        self,
        batch: Ledger,
        parcel: Parcel,
        calls: Sequence[Call],
        payloads: Callable[[Sequence[int]], Iterable[bytes]],
        chunk: int | None = None,
    ) -> None:
        """Submit the calls of a map: there are no results of earlier runs."""
        self.submit(batch, parcel, payloads(range(batch.n)), chunk)

    def revoke_workflow(self, batch: Ledger, terminate: Terminate) -> None:
        """Revoke the calls of a batch: there are no workflows."""
        self.revoke(batch, -1, terminate)

    def open(self, batch: Ledger, parcel: Parcel) -> None:
        """Begin a batch that grows."""
        self._pack(parcel)

    def add(
        self,
        batch: Ledger,
        parcel: Parcel,
        first: int,
        payloads: Sequence[bytes],
        pieces: Sequence[BlobPiece],
        needs: Needs,
    ) -> None:
        """Submit more calls of a batch that grows."""
        self.shelf.keep(parcel, list(pieces))
        load = Load(batch, parcel, parcel.frame, first, list(payloads))
        self._line.put(Stretch(load, first, len(payloads)), self._due_at(parcel))

    def complete(self, batch: Ledger, parcel: Parcel) -> None:
        """Do nothing: nobody else has to know how many calls there are."""

    def retry_failed(self, batch: Ledger, parcel: Parcel, index: int | None = None) -> None:
        """Submit the calls again that failed or were revoked, or one of them."""
        dispatch.retry_failed(self, batch, parcel, index)

    def flush(self) -> None:
        """Do nothing: nothing is on a way where it could be lost."""

    def _due_at(self, parcel: Parcel) -> float:
        return time.time() + parcel.options.delay_s if parcel.options.delay_s > 0 else 0.0

    def _pack(self, parcel: Parcel) -> None:
        """Give a parcel its function; packed anew unless it provably is what was packed before."""
        task = parcel.task
        mark = fingerprint.fingerprint(task.function)
        known = self._functions.get(task)
        if known is None or not fingerprint.same(mark, known[0]):
            refuse_bound_to_kernel(task.function)
            with BoundFor(self.home):
                packed = pack_function(task.function, task.options, lines_for(task.function))
            known = self._functions[task] = (mark, hashlib.sha256(packed).hexdigest(), packed)
        _, parcel.function, parcel.frame = known

    # -- from the line to the executor, and back

    def _size(self, stretch: Stretch) -> int:
        """Return how many calls the next errand has: one until it is known how long they take."""
        load = stretch.load
        pace = self.registry.paces.of(load.parcel.function)
        if load.chunk is None and pace is None:
            return 1
        return wanted(stretch.count, 0, pace, self.slots or 1, load.chunk)

    def _errand(self, stretch: Stretch) -> Errand:
        load, parcel = stretch.load, stretch.load.parcel
        begin = stretch.first - load.first
        payloads = load.payloads[begin : begin + stretch.count]
        keys = {key for payload in payloads for key in keys_of(payload)}
        options = parcel.options
        return Errand(
            self._token, self._pid, load.batch.id, load.batch.name, load.batch.queue, load.batch.origin.single,
            parcel.function, self._function_for(stretch), stretch.first, stretch.attempt, payloads,
            self.shelf.pieces(keys), options.header, self._result_limit,
        )  # fmt: skip

    def _function_for(self, stretch: Stretch) -> bytes:
        function, packed = stretch.load.parcel.function, stretch.load.packed
        if len(packed) <= _SMALL_FUNCTION or stretch.whole_function:
            return packed
        times = self._times_sent[function] = self._times_sent.get(function, 0) + 1
        return packed if times <= (self.slots or 1) else b""

    def _hear(self, stretch: Stretch, answer: Answer | BaseException) -> None:
        """Take in how an errand has ended."""
        batch = stretch.load.batch
        if isinstance(answer, BaseException):
            error = self._lost(answer)
            payload = failures.pack(error, with_traceback=False)
            record = Record.alike(
                batch.id, stretch.first, stretch.count, st.FAILURE_CODE, payload, attempt=stretch.attempt
            )
            self._apply(batch, record, [(stretch.first, stretch.count)])
            return
        if answer.lacks_function and not stretch.whole_function:
            self._line.put(dataclasses.replace(stretch, whole_function=True), ahead=True)
            return
        worker = answer.record.worker if answer.record is not None else ""
        for retried in answer.again:
            self._try_again(stretch, retried, worker, answer.changed.get(retried.index))
        if answer.record is not None:
            self._apply(batch, answer.record, answer.ranges)

    def _lost(self, error: BaseException) -> BaseException:
        """Return what a call ends with whose executor has not run it to its end."""
        anew = "Make a new executor, a new App with it, and submit again"
        if isinstance(error, BrokenExecutor):
            return WorkerLostError(f"the {self.title} is broken: {text_of(error, 500)} {anew}")
        if isinstance(error, CancelledError):
            return WorkerLostError(f"the {self.title} has cancelled it: it was shut down, perhaps. {anew}")
        if isinstance(error, RuntimeError) and "shutdown" in str(error):
            return WorkerLostError(f"the {self.title} was shut down before it could be run. {anew}")
        return WorkerLostError(f"the {self.title} has not run it: {name_of(error)}: {text_of(error, 500)}")

    def _try_again(
        self, stretch: Stretch, retried: Retried, worker: str, changed: bytes | None = None
    ) -> None:
        batch, index = stretch.load.batch, retried.index
        if not batch.revoked.running.isdisjoint((-1, index)):
            error = TaskRevokedError(
                f"call {batch.call_id(index)} was revoked while it ran: it is not tried again"
            )
            self._end(batch, [(index, 1)], failures.pack(error, with_traceback=False), stretch.attempt)
            return
        batch.apply_event(worker, retried)
        self._line.put(stretch.next_try(index, changed), time.time() + retried.delay_s)

    def _end(
        self, batch: Ledger, ranges: Iterable[tuple[int, int]], payload: bytes = b"", attempt: int = 1
    ) -> None:
        """Make calls REVOKED."""
        for first, count in ranges:
            record = Record.alike(batch.id, first, count, st.REVOKED_CODE, payload, attempt=attempt)
            self._apply(batch, record, [(first, count)])

    def _apply(self, batch: Ledger, record: Record, ranges: list[tuple[int, int]]) -> None:
        if batch.apply_record(record, ranges):
            self.registry.note_results(batch, record)

    def _look(self) -> None:
        """Tell what is new of the calls that run."""
        is_news = self._sight.tell()
        for stretch, runs in self._line.under_way():
            # Of calls in other processes nobody tells more than that.
            if runs and not self._sight.sees_all:
                batch = stretch.load.batch
                is_news = self._sight.note_begun(batch, stretch.first, stretch.attempt, self.title) or is_news
        if is_news:
            self.registry.announce()

    # -- what users do with batches

    def wait_for(self, ready: Callable[[], bool], timeout: float | None, eager: bool) -> bool:
        """Wait. A call of this executor that waits for another one keeps its thread.

        Raises:
            WouldDeadlock: it is the last one.
        """
        call = current_call()
        if call is None or not runs_call() or not self._sight.sees(call):
            return self.registry.wait_for(ready, timeout)
        with self._lock:
            if self.slots is not None and self._waiting_inside + 1 >= self.slots and not ready():
                raise WouldDeadlock(
                    f"get() inside a task keeps its thread, and no other thread of the {self.title} is left: the call "
                    "that it waits for would never start. Make the executor with more of them, or return the handle "
                    "and get() outside"
                )
            self._waiting_inside += 1
        try:
            return self.registry.wait_for(ready, timeout)
        finally:
            with self._lock:
                self._waiting_inside -= 1

    def when(self, batch: Ledger, ready: Callable[[], bool], action: Callable[[], None]) -> None:
        """Call ``action()`` once, on another thread, when ``ready()``."""
        self.registry.when(batch, ready, action)

    def await_recorded(self, parcel: Parcel) -> bool:
        """There is no other process that looks an id up."""
        return True

    def revoke(self, batch: Ledger, index: int, terminate: Terminate) -> None:
        """Make calls that have not been started REVOKED; what runs goes on, and its result counts."""
        batch.note_revoked(index)
        taken = self._line.take_out(batch, index)
        handed_over = [
            number
            for stretch, _ in self._line.under_way()
            if stretch.has(batch, index)
            for number in range(stretch.first, stretch.first + stretch.count)
            if index in {-1, number}
        ]
        self._sight.without_begun(batch, handed_over, lambda waiting: self._end(batch, [*taken, *waiting]))
        batch.note_change()
        self.registry.announce()

    def forget(self, batch: Ledger) -> None:
        """Let the results go as soon as all calls have ended."""
        self.registry.when(batch, lambda: batch.all_ended, lambda: self.registry.forget(batch), duty=True)

    def why_pending(self, batch: Ledger, index: int | None = None) -> str | None:
        """Say why nothing happens, with what to do."""
        if (later := said_of_eta(batch)) is not None:
            return later
        if batch.running:
            return None
        if (again := said_of_next_try(batch)) is not None:
            return again
        ahead = self._line.ahead_of(batch)
        if ahead is None:
            return f"the {self.title} has it: it begins when a worker of it is free"
        before = f", {ahead:,} {'call is' if ahead == 1 else 'calls are'} ahead" if ahead else ", it is next"
        return f"the {self.title} is busy{before}; wait, or make it with more workers"

    # -- what there is

    def adopt(self, batch_id: str) -> Ledger:
        """Return a batch of this App, as long as somebody holds it or it is listed."""
        known = self.registry.known(batch_id) or next(
            (batch for batch in self.registry.recent(quiet=True) if batch.id == batch_id), None
        )
        if known is None:
            raise UnknownCall(
                f"this App has submitted no call {batch_id!r} that is still known: a {self.title} keeps nothing, so "
                "handles are all there is. Results that outlive them need App() with its own server"
            )
        return known

    def newest(self, most: int) -> Iterable[str]:
        """Return the ids of the batches that were submitted last, newest first."""
        return [batch.id for batch in reversed(self.registry.recent(quiet=True))][:most]

    def workers(self) -> list[WorkerInfo]:
        """Return the executor, as a worker."""
        under_way = self._line.under_way()
        slots = self.slots or 0
        return [
            WorkerInfo(
                id=self._token, name=self.title, host=socket.gethostname(), pid=self._pid,
                python=".".join(map(str, sys.version_info[:3])), key_id="", queues=(_QUEUE,), pool="executor",
                concurrency=slots, slots_busy=min(slots, len(under_way)), slots_total=slots,
                slots_waiting=self._waiting_inside, rss_bytes=0, started_at=0.0, seen_at=time.time(),
                processed=self._sight.ended_count, matches=True, problem=None,
            )
        ]  # fmt: skip

    def taking(self, queue: str) -> list[WorkerInfo]:
        """Return the executor, as a worker."""
        return self.workers()

    # -- the end

    def disown(self) -> None:
        """Let go of everything in a process that was forked off: it is the parent's, and goes on there."""
        onlookers.pop(self._token, None)
        for batch in self.registry.disowned():
            batch.note_problem(ConfigError(f"{batch.id} was submitted by another process, and ends there"))

    def close(self) -> None:
        """Hand over what waits; the executor itself goes on, and what it gives for that, nobody hears."""
        if self._closed:
            return
        self.registry.close()
        self._closed = True
        left = self._line.close(self._pid == os.getpid(), _HAND_OVER_S)
        if left:
            n = sum(one.count for one in left)
            _log.warning("%d calls that were to begin later are not run: their App was closed", n)
        self.registry.announce()


def _slots_of(executor: Any) -> int | None:
    """Return how many calls an executor runs at once; most know it under this name, and none has to."""
    found = getattr(executor, "_max_workers", None)
    return found if isinstance(found, int) and found > 0 else None
