"""Run the calls of ``async def`` tasks side by side in one event loop.

A coroutine is asked to stop; it may not listen. What has not ended some time after its limit is let go of: its call is
told as over, and what it still does counts for nothing. If it even holds the loop, the process has to go, and what ran
beside it runs again elsewhere, uncharged.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from nbtasks.core.context import CurrentCall, set_current
from nbtasks.core.errors import SoftTimeLimitExceeded
from nbtasks.core.execution import execute_async, outcome_of_error, state_of
from nbtasks.core.outcome import Outcome
from nbtasks.core.readable import is_kind
from nbtasks.core.states import FAILURE_CODE
from nbtasks.wire.opened.function import Lent
from nbtasks.worker.isolation.copies import leave_copy
from nbtasks.worker.isolation.subprocesses import end_started, goes_on
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.log import LOGGER
from nbtasks.worker.standing import take_turns

from .bench import Bench
from .executor import enter, finish, make_ready, or_lost
from .interrupts import Stopping
from .limits import hard_limit_exceeded, soft_limit_reached
from .loop import SharedLoop, SubTask
from .room import Room
from .sidebyside import SideBySide

#: Calls of ``async def`` tasks that one child runs at once.
ASYNC_SLOTS = 100
#: Seconds between two looks whether an event loop has time for more.
_LOOK_S = 0.02
#: Seconds between two looks at what should have ended.
_WATCH_S = 0.1
#: Seconds that a call has to end by itself, once it has reached its limit or was revoked. The supervisor waits longer:
#: it ends the whole process.
_GRACE_S = 0.6
_GRACE_OF_REVOKED_S = 1.5
#: Seconds between two times that what does not listen is cancelled.
_AGAIN_S = 1.0
#: Looks in a row that find the loop held by a call that was let go of, or by what an ended one has left behind:
#: after so many the process goes.
_LOOKS_HELD, _LOOKS_LEFT = 5, 100
#: Coroutines that go on although they were let go of: with so many a process is spent.
_MOST_LET_GO = 20

Key = tuple[str, int]


@dataclass(eq=False)
class _Running:
    """A call in the loop.

    Attributes:
        began: monotonic.
        row: its place on the roster.
        task: runs it.
        reason: what it was told to end with.
        due: when it is let go of at the latest (monotonic).
        is_over: its outcome is told; what it does from now on counts for nothing.
    """

    job: Job
    call: CurrentCall
    began: float
    row: int | None
    task: asyncio.Task[None] | None = None
    reason: BaseException | None = None
    due: float = math.inf
    is_over: bool = False


class LoopExecutor:
    """Runs calls of ``async def`` tasks in one event loop, in a thread of its own.

    Args:
        on_over: called when a call has come to its end, before that is told.
        on_free: called when a call has ended.
        on_room: called when the loop takes more calls at once than before.
        on_lost: called when nothing runs in the loop any more and the process has to be replaced; with whether it is
            known that none of the calls in it is to blame.
    """

    def __init__(
        self,
        bench: Bench,
        roster: SideBySide,
        on_over: Callable[[], None],
        on_free: Callable[[], None],
        on_room: Callable[[], None],
        on_lost: Callable[[bool], None],
    ) -> None:
        self._bench = bench
        self._roster = roster
        self._on_over = on_over
        self._on_free = on_free
        self._on_room = on_room
        self._on_lost = on_lost
        self._room = Room(ASYNC_SLOTS)
        self._looks = False
        #: Given to the loop, and not begun.
        self._coming: set[Key] = set()
        self._running: dict[Key, _Running] = {}
        #: What goes on although it was let go of.
        self._let_go: set[_Running] = set()
        self._ending = threading.Lock()
        #: How often the loop had come round when it was looked at last, and so many looks in a row have found the same.
        self._rounds = self._held = 0
        self._watched = threading.Event()
        self._loop = SharedLoop(ASYNC_SLOTS, self._end_with, lambda: on_lost(False))
        threading.Thread(target=self._watch, name="nbtasks-loop-watch", daemon=True).start()

    @property
    def slots(self) -> int:
        """How many calls it takes at once for now."""
        return self._room.slots

    @property
    def is_spent(self) -> bool:
        """Whether the process had better be replaced: too much goes on in it that nobody waits for."""
        return len(self._let_go) >= (_MOST_LET_GO if self._running or self._coming else 1)

    def submit(self, job: Job, index: int) -> None:
        """Start a call."""
        self._coming.add((job.entry.batch, index))
        self._watched.set()
        self._loop.call_soon_threadsafe(
            or_lost, self._on_lost, lambda: self._start(job, index), context=contextvars.Context()
        )

    def stop(self, call: CurrentCall, reason: Exception) -> bool:
        """Cancel a call."""
        item = self._running.get((call.batch, call.index))
        if item is None:
            return False
        self._loop.call_soon_threadsafe(self._cancel, item, reason, context=contextvars.Context())
        # Also where the loop does not come to it.
        item.reason, item.due = reason, min(item.due, monotonic() + _GRACE_OF_REVOKED_S)
        return True

    def forsake(self) -> None:
        """In a forked copy of the process: run no other call."""
        self._loop.forsake()

    # -- in the loop

    def _start(self, job: Job, index: int) -> None:
        make_ready(self._bench, alone=all(item.is_over for item in list(self._running.values())))
        call = self._bench.begin(job, index)
        item = _Running(job, call, monotonic(), enter(self._roster, job, index))
        key = (call.batch, index)
        self._running[key] = item
        self._coming.discard(key)
        for after, error in _limits(job, call):
            self._loop.call_later(after, self._cancel, item, error)
            if not isinstance(error, SoftTimeLimitExceeded):
                item.due = item.began + after + _GRACE_S
        context = contextvars.copy_context()
        context.run(set_current, call)
        item.task = context.run(SubTask, self._run(item), loop=self._loop)
        item.task.add_done_callback(lambda task: self._note_end(key, item, task))
        if not self._looks:
            self._looks = True
            self._loop.clock.idle_share()
            self._loop.call_later(_LOOK_S, self._look)

    async def _run(self, item: _Running) -> None:
        job, call = item.job, item.call
        lent: Lent | None = None
        try:
            lent = job.lend(call)
            args, kwargs = self._bench.arguments(job, call.index)
            outcome = await execute_async(lent.call, args, kwargs, call, job.options_with(lent))
        except Stopping:
            # The process ends. Nothing is told: others get the call.
            if self._claim(item):
                self._roster.leave(item.row)
            self._on_free()
            return
        except BaseException as error:
            outcome = Outcome(FAILURE_CODE, error=error)
        # Before any lock, which a copy may have got closed.
        leave_copy(outcome.error)
        self._end(item, outcome)
        if lent is None or lent.watch is None:
            return
        if not goes_on(call) and not self._loop.will_run(call):
            job.function.take_back(lent)

    def _note_end(self, key: Key, item: _Running, task: asyncio.Task[None]) -> None:
        if self._running.get(key) is item:
            del self._running[key]
        self._let_go.discard(item)
        error = None if task.cancelled() else task.exception()
        # It may have been cancelled before its first step.
        self._end(item, Outcome(FAILURE_CODE, error=error or asyncio.CancelledError()))

    def _look(self) -> None:
        """See whether the loop has time for more, as long as calls run."""
        if self._room.note(self._loop.clock.idle_share(), len(self._running)):
            self._on_room()
        self._looks = bool(self._running)
        if self._looks:
            self._loop.call_later(_LOOK_S, self._look)

    def _cancel(self, item: _Running, reason: BaseException) -> None:
        if item.task is not None and not item.task.done():
            item.reason = reason
            item.task.cancel()

    def _end_with(self, call: CurrentCall, error: BaseException) -> None:
        """End a call with what a part of it has raised to end the program."""
        item = self._running.get((call.batch, call.index))
        if item is not None and item.call is call:
            item.due = min(item.due, monotonic() + _GRACE_S)
            self._cancel(item, error)

    # -- at the end of a call

    def _claim(self, item: _Running) -> bool:
        """Whether the caller is the one who tells how a call has ended."""
        with self._ending:
            first, item.is_over = not item.is_over, True
        return first

    def _end(self, item: _Running, outcome: Outcome) -> None:
        if self._claim(item):
            or_lost(self._on_lost, lambda: self._tell_end(item, outcome))

    def _tell_end(self, item: _Running, outcome: Outcome) -> None:
        reason, error = item.reason, outcome.error
        if reason is not None:
            end_started(item.call)
        if reason is not None and (
            not isinstance(reason, SoftTimeLimitExceeded) or is_kind(error, asyncio.CancelledError)
        ):
            outcome = _ended_by(reason, item, outcome.seconds)
        finish(
            self._bench, self._roster, item.row, item.job, item.call, outcome, self._on_over, self._on_free
        )

    # -- beside the loop

    def _watch(self) -> None:
        """Let go of what does not end, in a thread of its own: the loop may be held by it."""
        take_turns(self._look_beside, "a look at the event loop")

    def _look_beside(self) -> bool:
        if self._is_empty():
            self._watched.clear()
            if self._is_empty():
                self._watched.wait()
        sleep(_WATCH_S)
        try:
            self._ask_again()
            rounds, self._rounds = self._rounds, self._loop.clock.rounds
            self._held = self._held + 1 if rounds == self._rounds else 0
            if self._held >= _LOOKS_HELD and self._is_held_for_nothing(self._held):
                self._on_lost(True)
        except Stopping:
            return False
        return True

    def _is_empty(self) -> bool:
        return not (self._coming or self._running or self._let_go)

    def _ask_again(self) -> None:
        """Let go of calls whose time is over, and cancel what goes on: it may listen the next time."""
        now = monotonic()
        due = [item for item in (*self._running.values(), *self._let_go) if now >= item.due]
        for item in due:
            item.due = now + _AGAIN_S
            if not item.is_over:
                self._let_it_go(item, now - item.began)
            if item.reason is not None:
                self._loop.call_soon_threadsafe(
                    self._cancel, item, item.reason, context=contextvars.Context()
                )

    def _let_it_go(self, item: _Running, seconds: float) -> None:
        if item.reason is None or isinstance(item.reason, SoftTimeLimitExceeded):
            # The loop has not come to its timer.
            item.reason = hard_limit_exceeded(item.call, item.job.options.time_limit or 0.0)
        LOGGER.warning("Task %s[%s] does not stop: it is let go of", item.call.name, item.call.id)
        self._let_go.add(item)
        self._running.pop((item.call.batch, item.call.index), None)
        self._end(item, Outcome(FAILURE_CODE, seconds=seconds, error=item.reason))

    def _is_held_for_nothing(self, looks: int) -> bool:
        """Whether the loop is held by a call that was let go of; or, for long, by what an ended one has left."""
        call = self._loop.held_by()
        if call is None or any(item.call is call for item in list(self._running.values())):
            return False
        return looks >= _LOOKS_LEFT or any(item.call is call for item in list(self._let_go))


def _ended_by(reason: BaseException, item: _Running, seconds: float) -> Outcome:
    if isinstance(reason, (SoftTimeLimitExceeded, SystemExit, KeyboardInterrupt)):
        # As if the task had raised it itself: it may be retried.
        return outcome_of_error(reason, item.call, item.job.options, seconds)
    return Outcome(state_of(reason), seconds=seconds, error=reason)


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
    try:
        method = vars(type(function)).get("__call__")
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method)
    except BaseException:
        # A callable object of the user's, whose attributes are code of theirs.
        return False
