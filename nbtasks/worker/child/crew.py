"""What runs calls beside a child's main thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.wire.modules import activeworld
from nbtasks.wire.opened.function import Function
from nbtasks.worker.executing.bench import Bench
from nbtasks.worker.executing.coroutines import ASYNC_SLOTS, LoopExecutor, is_async
from nbtasks.worker.executing.executor import ThreadExecutor
from nbtasks.worker.executing.interrupts import Interrupts, Stopping
from nbtasks.worker.executing.limits import hard_limit_exceeded
from nbtasks.worker.executing.sidebyside import SideBySide
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.jobs.runningcalls import RunningCalls
from nbtasks.worker.slots import CONCURRENT, Slot

from .stopping import Revocations


class Crew:
    """Threads, or an event loop, each made when it is first needed; and how many calls are with them.

    Args:
        on_lost: see :class:`LoopExecutor`.

    Attributes:
        is_made: whether anything of it is there.
        in_flight: how many calls have been started and have not ended.
        at_work: how many of these may still do something; the others have come to their end, and it is being told.
    """

    def __init__(
        self,
        options: WorkerOptions,
        bench: Bench,
        roster: SideBySide,
        slot: Slot,
        reporter: Reporter,
        running: RunningCalls,
        interrupts: Interrupts,
        revocations: Revocations,
        on_lost: Callable[[bool], None],
    ) -> None:
        self._options = options
        self._bench = bench
        self._roster = roster
        self._slot = slot
        self._reporter = reporter
        self._running = running
        self._interrupts = interrupts
        self._revocations = revocations
        self._on_lost = on_lost
        self._free = threading.Condition()
        self._loop: LoopExecutor | None = None
        self._threads: ThreadExecutor | None = None
        self._kind: tuple[Function, bool] | None = None
        self.is_made = False
        self.in_flight = self.at_work = 0

    @property
    def has_loop(self) -> bool:
        """Whether the event loop is there."""
        return self._loop is not None

    @property
    def is_spent(self) -> bool:
        """Whether the process had better be replaced."""
        return self._loop is not None and self._loop.is_spent

    def is_for_loop(self, function: Function) -> bool:
        """Whether calls of a function belong into the event loop; most often it is the same one as before."""
        if self._kind is None or self._kind[0] is not function:
            self._kind = (function, is_async(function.call))
        return self._kind[1]

    def loop(self) -> LoopExecutor:
        """Return what runs coroutines."""
        if self._loop is None:
            activeworld.expect_calls_side_by_side()
            self._loop = LoopExecutor(
                self._bench, self._roster, self._come_to_end, self._freed, self._note_room, self._on_lost
            )
            self._revocations.stoppers.append(self._loop)
            self.is_made = True
        return self._loop

    def threads(self) -> ThreadExecutor:
        """Return what runs calls in threads."""
        if self._threads is None:
            activeworld.expect_calls_side_by_side()
            self._threads = ThreadExecutor(
                self._bench,
                self._roster,
                self._options.threads,
                self._come_to_end,
                self._freed,
                self._on_lost,
            )
            self._revocations.stoppers.append(self._threads)
            self.is_made = True
        return self._threads

    def forsake(self) -> None:
        """In a forked copy: let go of the event loop."""
        if self._loop is not None:
            self._loop.forsake()

    def free_of(self, slots: int) -> int:
        """Return how many calls may be started, one at least."""
        with self._free:
            return max(1, slots - self.in_flight)

    def enter(self) -> None:
        """A call is about to be started."""
        with self._free:
            self.in_flight += 1
            self.at_work += 1

    def _come_to_end(self) -> None:
        # Before its end is told: the next call may be here before this thread gets its turn again.
        with self._free:
            self.at_work -= 1

    def _freed(self) -> None:
        with self._free:
            self.in_flight -= 1
            # Of one that others are to run nothing was told.
            self.at_work = min(self.at_work, self.in_flight)
            self._slot.done += 1
            # Not IDLE before its result is told: it must not look as if it had not been run.
            self._slot.set_state(CONCURRENT, self.in_flight)
            self._free.notify_all()
        self._reporter.wake()

    def _note_room(self) -> None:
        with self._free:
            self._free.notify_all()

    def await_slot(self) -> None:
        """Wait until a call may be started: calls in threads or in the loop leave room.

        Raises:
            Stopping: no call is to be started any more.
        """
        with self._free:
            while self.in_flight >= self._most_in_flight() and not self._interrupts.stopping:
                self._free.wait(0.5)
        if self._interrupts.stopping:
            raise Stopping

    def _most_in_flight(self) -> int:
        if self._options.pool == "threads":
            return self._options.threads
        return ASYNC_SLOTS if self._loop is None else self._loop.slots

    def await_end(self) -> None:
        """Wait until all its calls have ended."""
        with self._free:
            while self.in_flight:
                self._free.wait(1.0)

    def check_limits(self) -> None:
        """Stop calls in threads that take too long; the loop looks at its own."""
        if self._threads is None:
            return
        now = time.monotonic()
        for call, since in self._running.all():
            limit, soft = call.time_limit, call.soft_time_limit
            if soft and now - since > soft:
                self._threads.warn(call)
            if limit and now - since > limit:
                self._threads.stop(call, hard_limit_exceeded(call, limit))
