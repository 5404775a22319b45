"""Run the calls of a job, in the child's main thread or in threads of its own. Coroutines: coroutines.py."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded
from nbtasks.core.execution import execute, state_of
from nbtasks.core.interruption import Interrupted, raise_in
from nbtasks.core.outcome import Outcome
from nbtasks.core.readable import is_kind, name_of
from nbtasks.core.states import FAILURE_CODE
from nbtasks.wire.kinds.opening import begin_opening
from nbtasks.wire.opened.function import Lent
from nbtasks.worker.isolation.assignments import decimal_context
from nbtasks.worker.isolation.copies import here, leave_copy
from nbtasks.worker.isolation.descriptors import DescriptorFile
from nbtasks.worker.isolation.leftovers import end_leftovers
from nbtasks.worker.isolation.streams import renew, restore, tagged
from nbtasks.worker.isolation.subprocesses import end_started, goes_on
from nbtasks.worker.isolation.surroundings import Surroundings, unblock
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.log import LOGGER
from nbtasks.worker.slots import PACKING, Slot

from .bench import Bench
from .interrupts import Interrupts, Stopping
from .limits import packing_limit, soft_limit_reached
from .sidebyside import SideBySide


class InlineExecutor:
    """Runs calls in the child's main thread, where a signal can stop them at once."""

    def __init__(
        self,
        bench: Bench,
        slot: Slot,
        roster: SideBySide,
        interrupts: Interrupts,
        descriptors: DescriptorFile,
        surroundings: Surroundings,
    ) -> None:
        self._bench = bench
        self._slot = slot
        self._roster = roster
        #: Processes were ended with a call: some may have been of use to the next ones.
        self.ended_processes = False
        self._interrupts = interrupts
        self._descriptors = descriptors
        self._surroundings = surroundings

    def run(self, job: Job, index: int) -> float:
        """Run one call to its end; returns its run time in seconds.

        The caller ends the slot: packing a result may kill the process as well.
        """
        self._make_ready()
        lent: Lent | None = None
        call = self._bench.begin(job, index)
        options, interrupts = job.options, self._interrupts
        hard, soft, interrupts.stopped = options.time_limit, options.soft_time_limit, None
        self._slot.begin(job.batch_bytes, index, hard or 0.0, 1, soft or 0.0)
        try:
            try:
                begin_opening(call)
                lent = job.shared or job.lend(call)
                args, kwargs = self._bench.arguments(job, index)
                if decimal_context.get(None) is not self._surroundings.decimal_context:
                    self._surroundings.begin()
                interrupts.arm(call, options)
                interrupts.check()
                own = options if lent.options is job.function.options else job.options_with(lent)
                outcome = execute(lent.call, args, kwargs, call, own)
            finally:
                self._disarm()
        except Interrupted as stop:
            # The signal came while execute() was on its way out.
            outcome = Outcome(state_of(stop.reason), error=stop.reason)
        except Stopping:
            raise
        except BaseException as error:
            # Arguments are read by code of the user's, too.
            outcome = Outcome(FAILURE_CODE, error=error)
        if outcome.error is not None or interrupts.stopped is not None or here.is_copy:
            outcome = self._unless_stopped(call, outcome)
        if text := self._descriptors.take():
            self._bench.wrote(call, text)
        if hard or soft:
            # The call may have taken all of its time.
            limit_s = packing_limit(hard)
            self._slot.begin(job.batch_bytes, index, limit_s, soft_s=PACKING)
            self._bench.finish(job, call, outcome, lambda: self._slot.begin(job.batch_bytes, index, 0.0))
        else:
            self._bench.finish(job, call, outcome)
        if lent is not None and lent.watch is not None and not goes_on(call):
            job.function.take_back(lent)
        return outcome.seconds

    def _make_ready(self) -> None:
        if getattr(sys, "stdout", None) is not tagged[0] or getattr(sys, "stderr", None) is not tagged[1]:
            restore()
        hidden = self._bench.hidden
        if hidden.seeded or len(sys.modules) != hidden.modules:
            hidden.renew()

    def _unless_stopped(self, call: CurrentCall, outcome: Outcome) -> Outcome:
        """Return how a call has ended that failed, was stopped, or runs in a copy of this process."""
        leave_copy(outcome.error)
        stopped = self._interrupts.stopped
        if stopped is not None and outcome.error is not stopped:
            # It has caught what was to stop it, and come to an end all the same.
            outcome = Outcome(state_of(stopped), seconds=outcome.seconds, error=stopped)
        if stopped is not None or is_kind(outcome.error, SoftTimeLimitExceeded):
            self._end_leftovers(call)
        return outcome

    def _end_leftovers(self, call: CurrentCall) -> None:
        running, alone = self._slot.running(), not self._roster.running()
        if not alone:
            end_started(call)
        if running is not None and end_leftovers(running.started, whole=alone):
            self.ended_processes = True

    def _disarm(self) -> None:
        """Disarm, whatever signal comes meanwhile, ours or the call's own: it has ended by itself."""
        while True:
            try:
                self._interrupts.disarm()
                self._surroundings.calm()
                return
            except Stopping:
                raise
            except BaseException as error:
                LOGGER.debug("passed over at the end of a call: %s", name_of(error))


class ThreadExecutor:
    """Runs calls in threads, for blocking I/O. A thread can be stopped between two steps of Python only.

    Args:
        on_over: called when a call has come to its end, before that is told.
        on_free: called when a call has ended.
        on_lost: see :func:`or_lost`.
    """

    def __init__(
        self,
        bench: Bench,
        roster: SideBySide,
        threads: int,
        on_over: Callable[[], None],
        on_free: Callable[[], None],
        on_lost: Callable[[bool], None],
    ) -> None:
        self._bench = bench
        self._roster = roster
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="nbtasks-task")
        self._on_over = on_over
        self._on_free = on_free
        self._on_lost = on_lost
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
        lent: list[tuple[Lent, CurrentCall]] = []
        or_lost(self._on_lost, lambda: self._run_to_end(job, index, lent))
        for one, call in lent:
            if not goes_on(call):
                job.function.take_back(one)

    def _run_to_end(self, job: Job, index: int, lent: list[tuple[Lent, CurrentCall]]) -> None:
        make_ready(self._bench, alone=not self._threads)
        call = self._bench.begin(job, index)
        row, began = enter(self._roster, job, index), time.monotonic()
        try:
            outcome = self._stoppable((call.batch, index), lambda: self._outcome(job, index, call, lent))
        except Stopping:
            # The process ends. Nothing is told: others get the call.
            self._on_free()
            return
        if is_kind(outcome.error, (TaskRevokedError, TimeLimitExceeded, SoftTimeLimitExceeded)):
            end_started(call)
            end_leftovers(began, whole=False)
        unblock()
        if type(outcome.error) is SoftTimeLimitExceeded and not str(outcome.error):
            # In a thread a class is raised, not an object: it says nothing yet.
            outcome.error.args, outcome.error.call_id = soft_limit_reached(call).args, call.id
        finish(self._bench, self._roster, row, job, call, outcome, self._on_over, self._on_free)

    def _outcome(
        self, job: Job, index: int, call: CurrentCall, lent: list[tuple[Lent, CurrentCall]]
    ) -> Outcome:
        try:
            own = job.lend(call)
            lent.append((own, call))
            args, kwargs = self._bench.arguments(job, index)
            outcome = execute(own.call, args, kwargs, call, job.options_with(own))
        except (Interrupted, Stopping):
            raise
        except BaseException as error:
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
                outcome = outcome or Outcome(state_of(stop.reason), error=stop.reason)
            except SoftTimeLimitExceeded as error:
                # It came when the call was on its way in or out.
                outcome = outcome or Outcome(FAILURE_CODE, error=error)
            except Stopping:
                raise
            except BaseException as error:
                # What a task has laid upon its thread, an exception of another one's say, may strike after its end.
                outcome = outcome or Outcome(FAILURE_CODE, error=error)
            else:
                return outcome

    def _retire(self, key: tuple[str, int]) -> None:
        with self._lock:
            self._threads.pop(key, None)
            self._stopping.discard(key)
            self._warned.discard(key)
            raise_in(threading.get_ident(), None)

    def warn(self, call: CurrentCall) -> None:
        """Raise SoftTimeLimitExceeded in the thread that runs a call, at its next step of Python."""
        key = (call.batch, call.index)
        with self._lock:
            thread = self._threads.get(key)
            if thread is not None and key not in self._warned:
                self._warned.add(key)
                raise_in(thread, SoftTimeLimitExceeded)

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
                raise_in(thread, Stop)
            return key in self._stopping


def enter(roster: SideBySide, job: Job, index: int) -> int | None:
    """Put a call that begins onto the list of those that run side by side."""
    options = job.options
    return roster.enter(job.batch_bytes, index, options.time_limit or 0.0, options.soft_time_limit or 0.0)


def or_lost(on_lost: Callable[[bool], None], step: Callable[[], None]) -> None:
    """Take a step to the end of a call, where nobody hears of what it raises.

    The call would then never end, and nobody would know why. So the process goes, and others get what it has in hand.

    Args:
        on_lost: called to have it replaced; with whether it is known that no call in it is to blame.
    """
    try:
        step()
    except Stopping:
        raise
    except BaseException as error:
        leave_copy(error)
        try:
            LOGGER.exception("a call cannot be brought to its end here")
        finally:
            on_lost(False)


def make_ready(bench: Bench, *, alone: bool) -> None:
    """Have a call that may run beside others find streams and random numbers as new."""
    renew(alone)
    if alone:
        bench.hidden.renew()


def finish(
    bench: Bench,
    roster: SideBySide,
    row: int | None,
    job: Job,
    call: CurrentCall,
    outcome: Outcome,
    on_over: Callable[[], None],
    on_free: Callable[[], None],
) -> None:
    """Tell how a call has ended that ran beside others; until that is packed, it is on their list."""
    options = job.options
    if row is not None and (options.time_limit or options.soft_time_limit):
        # It may have taken all of its time.
        roster.leave(row)
        row = roster.enter(job.batch_bytes, call.index, packing_limit(options.time_limit), PACKING)

    def packed() -> None:
        roster.leave(row)
        on_over()

    try:
        bench.finish(job, call, outcome, packed)
    finally:
        on_free()
