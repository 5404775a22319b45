"""Calls that hold locks, and the worker's lease, on which these depend: no call runs on without being told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from nbtasks.broker.verbs.locks import Locks
from nbtasks.core.clock import steady
from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import LockLost, OperationalError
from nbtasks.core.hold import Hold
from nbtasks.worker.jobs.runningcalls import RunningCalls
from nbtasks.worker.log import LOGGER
from nbtasks.worker.slots import LOCKS_LOST, Slot
from nbtasks.worker.standing import take_turns

#: Seconds between two looks at the lease.
_LOOK_S = 0.1
#: Seconds between two questions to the broker whether a call still holds what it has got.
_ASK_S = 2.0
#: Seconds before the end of the lease at which calls are stopped; of a short one a part of it.
_BEFORE_S, _SHARE_BEFORE = 1.0, 0.2
#: Seconds that a call has to end after it was told.
_GRACE_S = 2.0
#: Seconds after a grant in which its call may not have begun yet.
_BEGUN_S = 2.0


class LockWatch:
    """Stops calls whose locks are lost, and ends the process: its supervisor sees to what it held.

    Args:
        stop: stops a call, for a reason.
        locks: asks the broker.
    """

    def __init__(
        self,
        slot: Slot,
        running: RunningCalls,
        lease_s: float,
        stop: Callable[[CurrentCall, Exception], None],
        locks: Locks,
    ) -> None:
        self._slot = slot
        self._running = running
        self._before_s = min(_BEFORE_S, _SHARE_BEFORE * lease_s)
        self._stop = stop
        self._locks = locks
        self._granted_at = 0.0
        #: What code in calls has taken by itself, with the call.
        self._taken: dict[Hold, CurrentCall | None] = {}
        self._watched = threading.Event()
        self._started = False

    def granted(self, lapses: int) -> None:
        """A call is about to start with locks."""
        self._granted_at = time.monotonic()
        if self._slot.locked is None:
            self._slot.set_locked(lapses)
        self._watched.set()
        if not self._started:
            self._started = True
            threading.Thread(target=self._loop, name="nbtasks-locks", daemon=True).start()

    def taken(self, hold: Hold, call: CurrentCall | None) -> None:
        """Code has taken a lock, in a call or beside one."""
        self._taken[hold] = call
        self.granted(hold.lapses)

    def given_back(self, hold: Hold) -> None:
        """Code has given it back."""
        self._taken.pop(hold, None)

    def over(self, in_flight: int) -> None:
        """A call has ended that was told at once; so many others run beside it."""
        if not (in_flight or self._taken):
            self._slot.set_locked(None)

    # -- the lease: on a thread of its own, which waits for nothing else

    def _loop(self) -> None:
        take_turns(self._turn, "a look at the lease of locks")

    def _turn(self) -> bool:
        self._watched.wait()
        time.sleep(_LOOK_S)
        self._look()
        return True

    def _look(self) -> None:
        holding = self._holding()
        for call, hold in holding:
            self._look_at(call, hold)
        if not holding and time.monotonic() - self._granted_at > _BEGUN_S:
            self._watched.clear()
            if time.monotonic() - self._granted_at > _BEGUN_S:
                self._slot.set_locked(None)
            else:
                self._watched.set()

    def _holding(self) -> list[tuple[CurrentCall | None, Hold]]:
        running = [(call, call.hold) for call, _ in self._running.all() if call.hold is not None]
        return [*running, *((call, hold) for hold, call in self._taken.copy().items())]

    def _look_at(self, call: CurrentCall | None, hold: Hold) -> None:
        if hold.lost_at is not None:
            if time.monotonic() - hold.lost_at > _GRACE_S:
                end_process()
            return
        until, lapses = self._slot.lease()
        if lapses != hold.lapses:
            self._lose(call, hold, "its worker was not heard of for longer than its lease")
        elif steady() > until - self._before_s:
            self._lose(call, hold, "its worker cannot renew its lease, which is about to end")

    def _lose(self, call: CurrentCall | None, hold: Hold, why: str) -> None:
        hold.lost_at = time.monotonic()
        if call is None:
            LOGGER.warning("the process is ended: code that belongs to no call has lost %s: %s", hold, why)
            end_process()
        LOGGER.warning("Task %s[%s] is stopped: it has lost %s: %s", call.name, call.id, hold, why)
        self._stop(call, LockLost(f"call {call.id} has lost {hold}: {why}", call.id))

    # -- what the broker says: it may be another one, or the same one with older data

    def ask(self) -> None:
        """Ask now and then whether calls still hold what they have got; may wait for the broker."""
        now = time.monotonic()
        for call, hold in self._holding():
            if hold.lost_at is None and now - hold.looked_at > _ASK_S:
                hold.looked_at = now
                try:
                    held = self._locks.are_held(hold.locks, hold.name, hold.token)
                except OperationalError:
                    continue
                if not held and (call, hold) in self._holding():
                    self._lose(call, hold, "the broker does not know any more that it holds it")


def end_process() -> NoReturn:
    """End this process at once: a call of it has lost its locks."""
    os._exit(LOCKS_LOST)
