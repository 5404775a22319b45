"""Run the calls of a job: verify, unpickle, run with the output captured, pack the outcome."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from nbtasks.core.context import CurrentCall, before_telling
from nbtasks.core.errors import (
    NotPicklable,
    PayloadTooLarge,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    TimeLimitExceeded,
    ValueLost,
    WireError,
)
from nbtasks.core.execution import Interrupted, Outcome, execute, execute_async, outcome_of_error
from nbtasks.core.states import FAILURE_CODE, RETRY_CODE, REVOKED_CODE, SUCCESS_CODE
from nbtasks.local.valuefiles import ValueFiles
from nbtasks.wire import failures
from nbtasks.wire.values import BlobPiece, Shelf, payload_of, value_of

from .capture import DescriptorFile, Output
from .copies import leave_copy
from .interrupts import Interrupts
from .job import Job
from .leftovers import end_leftovers
from .limits import hard_limit_exceeded, soft_limit_reached
from .log import LOGGER
from .reporter import Again, Done, Reporter, Unread
from .room import IdleClock, Room
from .roster import Roster
from .slots import Slot

#: Calls of ``async def`` tasks that one child runs at once.
ASYNC_SLOTS = 100
#: Seconds between two looks whether an event loop has time for more.
_LOOK_S = 0.02
RESULT_LIMIT_BYTES = 512 * 2**20


class _ArgumentsLost(Exception):
    """Large arguments of a call are gone: it was not started."""


@dataclass
class Bench:
    """What every executor of a child works with."""

    worker: str
    reporter: Reporter
    shelf: Shelf
    log_calls: bool
    #: Of large values, where this process sees any.
    files: ValueFiles | None = None

    def use_files(self, files: ValueFiles | None) -> None:
        """Put large values into files, for those who see them."""
        self.files = self.shelf.files = files

    def arguments(self, job: Job, index: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Unpickle the arguments of a call."""
        try:
            args, kwargs = value_of(job.payload(index), self.shelf)
        except ValueLost as error:
            raise _ArgumentsLost(str(error)) from error
        return args, kwargs

    def begin(self, job: Job, index: int) -> CurrentCall:
        """Announce a call."""
        call = job.call(index, self.worker, self.reporter.note_progress)
        self.reporter.began(call, job.key_id)
        if self.log_calls:
            LOGGER.info("Task %s[%s] received", call.name, call.id)
        return call

    def finish(self, job: Job, call: CurrentCall, outcome: Outcome) -> None:
        """Pack and hand over how a call ended."""
        if isinstance(outcome.error, _ArgumentsLost):
            LOGGER.warning("Task %s[%s] cannot be started: %s", call.name, call.id, outcome.error)
            self.reporter.ended(Unread(job, call.index, str(outcome.error)))
            return
        # Copied: the list changes when an App is closed in another thread.
        for action in tuple(before_telling):
            action()
        output = call.output.kept() if call.output is not None else None
        if outcome.state == RETRY_CODE and self.reporter.was_revoked(call):
            reason = TaskRevokedError(
                f"call {call.id} was revoked while it ran: it is not tried again", call.id
            )
            outcome = Outcome(REVOKED_CODE, seconds=outcome.seconds, error=reason)
        if self.log_calls:
            _log(call, outcome)
        if outcome.state == RETRY_CODE:
            error = f"{type(outcome.error).__name__}: {outcome.error}"
            if outcome.error is not None and getattr(outcome.error, "cause", None) is not None:
                error = f"{type(outcome.error.cause).__name__}: {outcome.error.cause}"  # type: ignore[attr-defined]
            self.reporter.ended(Again(job, call.index, outcome.retry_in, error, output))
            return
        state, payload, pieces = self._packed(job, call, outcome)
        self.reporter.ended(Done(job, call.index, state, outcome.seconds, payload, output, pieces))

    def _packed(self, job: Job, call: CurrentCall, outcome: Outcome) -> tuple[int, bytes, list[BlobPiece]]:
        if outcome.state != SUCCESS_CODE:
            assert outcome.error is not None
            return outcome.state, failures.pack(outcome.error), []
        if outcome.value is None or job.options.ignore_result:
            return SUCCESS_CODE, b"", []
        limit = int(job.chunk.options.get("rl", RESULT_LIMIT_BYTES))
        try:
            payload, pieces = payload_of(outcome.value, limit, self.shelf, lambda: self._seen_by_asker(job))
            return SUCCESS_CODE, payload, pieces
        except PayloadTooLarge as error:
            problem: WireError = PayloadTooLarge(
                f"the result of call {call.id} is too large: {error}; "
                "write it to a file and return the path, return less, or raise App(result_limit=...)"
            )
        except NotPicklable as error:
            problem = NotPicklable(f"the result of call {call.id} cannot be sent: {error}", error.path)
        return FAILURE_CODE, failures.pack(problem, with_traceback=False), []

    def _seen_by_asker(self, job: Job) -> bool:
        return self.files is not None and job.chunk.options.get("pl") == self.files.place


def _log(call: CurrentCall, outcome: Outcome) -> None:
    if outcome.state == SUCCESS_CODE:
        LOGGER.info(
            "Task %s[%s] succeeded in %.2fs: %.200r", call.name, call.id, outcome.seconds, outcome.value
        )
    elif outcome.state == RETRY_CODE:
        LOGGER.info("Task %s[%s] retry in %.2fs: %r", call.name, call.id, outcome.retry_in, outcome.error)
    elif outcome.state == REVOKED_CODE:
        LOGGER.info("Task %s[%s] revoked: %s", call.name, call.id, outcome.error)
    else:
        LOGGER.error(
            "Task %s[%s] raised unexpected: %r", call.name, call.id, outcome.error, exc_info=outcome.error
        )


class InlineExecutor:
    """Runs calls in the child's main thread, where a signal can stop them at once."""

    def __init__(
        self,
        bench: Bench,
        slot: Slot,
        roster: Roster,
        interrupts: Interrupts,
        descriptors: DescriptorFile | None,
    ) -> None:
        self._bench = bench
        self._slot = slot
        self._roster = roster
        #: Processes were ended with a call: some may have been of use to the next ones.
        self.ended_processes = False
        self._interrupts = interrupts
        self._descriptors = descriptors

    def run(self, job: Job, index: int) -> float:
        """Run one call to its end; returns its run time in seconds.

        The caller ends the slot: packing a result may kill the process as well.
        """
        call = self._bench.begin(job, index)
        options, self._interrupts.stopped = job.options, None
        self._slot.begin(
            job.batch_bytes, index, options.time_limit or 0.0, soft_s=options.soft_time_limit or 0.0
        )
        try:
            try:
                args, kwargs = self._bench.arguments(job, index)
                self._interrupts.arm(call, job.options)
                self._interrupts.check()
                outcome = execute(job.function.call, args, kwargs, call, job.options)
            finally:
                self._disarm()
        except Interrupted as stop:
            # The signal came while execute() was on its way out.
            outcome = Outcome(_state_of(stop), error=stop.reason)
        except Exception as error:
            outcome = Outcome(FAILURE_CODE, error=error)
        leave_copy(outcome.error)
        stopped = self._interrupts.stopped
        if stopped is not None and outcome.error is not stopped:
            # It has caught what was to stop it, and come to an end all the same.
            outcome = Outcome(_state_of(Interrupted(stopped)), seconds=outcome.seconds, error=stopped)
        if stopped is not None or isinstance(outcome.error, SoftTimeLimitExceeded):
            self._end_leftovers()
        self._collect_descriptors(call)
        if job.options.time_limit or job.options.soft_time_limit:
            # Packing the result may take longer than the call may.
            self._slot.begin(job.batch_bytes, index, 0.0)
        self._bench.finish(job, call, outcome)
        return outcome.seconds

    def _end_leftovers(self) -> None:
        running = self._slot.running()
        if running is not None and end_leftovers(running.started, whole=not self._roster.running()):
            self.ended_processes = True

    def _disarm(self) -> None:
        """Disarm, whatever signal comes meanwhile: the call has ended by itself."""
        while True:
            try:
                self._interrupts.disarm()
                return
            except (Interrupted, SoftTimeLimitExceeded):
                continue

    def _collect_descriptors(self, call: CurrentCall) -> None:
        text = self._descriptors.take() if self._descriptors is not None else ""
        if text:
            if call.output is None:
                call.output = Output()
            call.output.write("o", text)


def _state_of(stop: Interrupted) -> int:
    return REVOKED_CODE if isinstance(stop.reason, TaskRevokedError) else FAILURE_CODE


class ThreadExecutor:
    """Runs calls in threads, for blocking I/O. A thread can be stopped between two steps of Python only."""

    def __init__(self, bench: Bench, roster: Roster, threads: int, on_free: Callable[[], None]) -> None:
        self._bench = bench
        self._roster = roster
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="nbtasks-task")
        self._on_free = on_free
        self._lock = threading.Lock()
        #: Calls that may be stopped, with their threads.
        self._threads: dict[tuple[str, int], int] = {}
        #: Calls that were told to stop, and those that have reached their soft limit; once is enough.
        self._stopping: set[tuple[str, int]] = set()
        self._warned: set[tuple[str, int]] = set()

    def submit(self, job: Job, index: int) -> None:
        """Start a call in a free thread."""
        self._pool.submit(self._run, job, index)

    def _run(self, job: Job, index: int) -> None:
        call = self._bench.begin(job, index)
        row, began = _enter(self._roster, job, index), time.monotonic()
        outcome = self._stoppable((call.batch, index), lambda: self._outcome(job, index, call))
        if isinstance(outcome.error, (TaskRevokedError, TimeLimitExceeded, SoftTimeLimitExceeded)):
            end_leftovers(began, whole=False)
        self._roster.leave(row)
        if type(outcome.error) is SoftTimeLimitExceeded and not str(outcome.error):
            # In a thread a class is raised, not an object: it says nothing yet.
            outcome.error.args, outcome.error.call_id = soft_limit_reached(call).args, call.id
        self._bench.finish(job, call, outcome)
        self._on_free()

    def _outcome(self, job: Job, index: int, call: CurrentCall) -> Outcome:
        try:
            args, kwargs = self._bench.arguments(job, index)
            outcome = execute(job.function.call, args, kwargs, call, job.options)
        except Exception as error:
            outcome = Outcome(FAILURE_CODE, error=error)
        # Before any lock, which a copy may have got closed.
        leave_copy(outcome.error)
        return outcome

    def _stoppable(self, key: tuple[str, int], action: Callable[[], Outcome]) -> Outcome:
        """Run ``action``; what stops it may be raised anywhere in here, and nowhere after it."""
        outcome: Outcome | None = None
        while True:
            try:
                if outcome is None:
                    with self._lock:
                        self._threads[key] = threading.get_ident()
                    outcome = action()
                self._retire(key)
            except Interrupted as stop:
                outcome = outcome or Outcome(_state_of(stop), error=stop.reason)
            except SoftTimeLimitExceeded as error:
                # It came when the call was on its way in or out.
                outcome = outcome or Outcome(FAILURE_CODE, error=error)
            else:
                return outcome

    def _retire(self, key: tuple[str, int]) -> None:
        with self._lock:
            self._threads.pop(key, None)
            self._stopping.discard(key)
            self._warned.discard(key)
            _raise_in(threading.get_ident(), None)

    def warn(self, call: CurrentCall) -> None:
        """Raise SoftTimeLimitExceeded in the thread that runs a call, at its next step of Python."""
        key = (call.batch, call.index)
        with self._lock:
            thread = self._threads.get(key)
            if thread is not None and key not in self._warned:
                self._warned.add(key)
                _raise_in(thread, SoftTimeLimitExceeded)

    def stop(self, call: CurrentCall, reason: Exception) -> bool:
        """Raise an exception in the thread that runs a call, at its next step of Python."""

        # A class is raised, not an object: the reason is bound into it.
        class Stop(Interrupted):
            def __init__(self) -> None:
                super().__init__(reason)

        key = (call.batch, call.index)
        with self._lock:
            thread = self._threads.pop(key, None)
            if thread is not None:
                self._stopping.add(key)
                _raise_in(thread, Stop)
            return key in self._stopping


def _enter(roster: Roster, job: Job, index: int) -> int | None:
    options = job.options
    return roster.enter(job.batch_bytes, index, options.time_limit or 0.0, options.soft_time_limit or 0.0)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have a thread raise an exception; None takes back one that it has not raised yet."""
    import ctypes

    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)


class LoopExecutor:
    """Runs calls of ``async def`` tasks in one event loop, in a thread of its own.

    Args:
        on_free: called when a call has ended.
        on_room: called when the loop takes more calls at once than before.
    """

    def __init__(
        self, bench: Bench, roster: Roster, on_free: Callable[[], None], on_room: Callable[[], None]
    ) -> None:
        self._bench = bench
        self._roster = roster
        self._on_free = on_free
        self._on_room = on_room
        self._room = Room(ASYNC_SLOTS)
        self._looks = False
        self._clock = IdleClock()
        self._loop = asyncio.SelectorEventLoop(self._clock)
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._reasons: dict[tuple[str, int], Exception] = {}
        threading.Thread(target=self._loop.run_forever, name="nbtasks-loop", daemon=True).start()

    @property
    def slots(self) -> int:
        """How many calls it takes at once for now."""
        return self._room.slots

    def submit(self, job: Job, index: int) -> None:
        """Start a call."""
        asyncio.run_coroutine_threadsafe(self._start(job, index), self._loop)

    async def _start(self, job: Job, index: int) -> None:
        key = (job.entry.batch, index)
        task = self._loop.create_task(self._run(job, index))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))
        if not self._looks:
            self._looks = True
            self._clock.idle_share()
            self._loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        """See whether the loop has time for more, as long as calls run."""
        if self._room.note(self._clock.idle_share(), len(self._tasks)):
            self._on_room()
        self._looks = bool(self._tasks)
        if self._looks:
            self._loop.call_later(_LOOK_S, self._look)

    async def _run(self, job: Job, index: int) -> None:
        call = self._bench.begin(job, index)
        row = _enter(self._roster, job, index)
        key = (call.batch, index)
        timers = [
            self._loop.call_later(after, self._cancel, key, error) for after, error in _limits(job, call)
        ]
        try:
            args, kwargs = self._bench.arguments(job, index)
            outcome = await execute_async(job.function.call, args, kwargs, call, job.options)
        except Exception as error:
            outcome = Outcome(FAILURE_CODE, error=error)
        self._roster.leave(row)
        for timer in timers:
            timer.cancel()
        reason = self._reasons.pop(key, None)
        if reason is not None and isinstance(outcome.error, asyncio.CancelledError):
            outcome = _outcome_of_cancel(reason, call, job, outcome.seconds)
        self._bench.finish(job, call, outcome)
        self._on_free()

    def stop(self, call: CurrentCall, reason: Exception) -> bool:
        """Cancel a call."""
        key = (call.batch, call.index)
        if key not in self._tasks:
            return False
        self._loop.call_soon_threadsafe(self._cancel, key, reason)
        return True

    def _cancel(self, key: tuple[str, int], reason: Exception) -> None:
        task = self._tasks.get(key)
        if task is not None:
            self._reasons[key] = reason
            task.cancel()


def _outcome_of_cancel(reason: Exception, call: CurrentCall, job: Job, seconds: float) -> Outcome:
    if isinstance(reason, SoftTimeLimitExceeded):
        # As if the task had raised it itself: it may be retried.
        return outcome_of_error(reason, call, job.options, seconds)
    return Outcome(_state_of(Interrupted(reason)), seconds=seconds, error=reason)


def _limits(job: Job, call: CurrentCall) -> list[tuple[float, Exception]]:
    """Return after how many seconds a coroutine is cancelled, and how it has ended then unless it catches that."""
    soft, hard = job.options.soft_time_limit, job.options.time_limit
    found: list[tuple[float, Exception]] = []
    if soft:
        found.append((soft, soft_limit_reached(call)))
    if hard:
        found.append((hard, hard_limit_exceeded(call, hard)))
    return found


def is_async(function: Any) -> bool:
    """Whether calls of this function belong into the event loop."""
    method = vars(type(function)).get("__call__")
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method)
