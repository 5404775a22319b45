"""Stops calls that were revoked or are late, from outside: with a signal, and in the end with their process.

A call's own process does the same, and sooner. But whatever a task does to it, to its signals or to its clock, it does
not reach the supervisor.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nbtasks.core.errors import CallError, TaskRevokedError, TimeLimitExceeded
from nbtasks.local.processes.proctree import kill_tree, send, stop
from nbtasks.worker.executing.interrupts import ORDER
from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import PACKING, RunningCall, StopOrder

#: Seconds that a revoked call has to stop by itself after a signal; then its process is killed.
_GRACE_S = 2.0
#: The same for one that has reached its hard limit.
_LIMIT_GRACE_S = 1.0
#: Seconds after which a limit that the process itself has not noticed is called to its mind.
_REMIND_S = 0.1
#: Seconds for which an order is remembered: a call that it means may be about to begin.
_REMEMBER_S = 60.0
#: A call is seen within so many seconds; if not so, its start was written with a clock that was tampered with.
_SEEN_WITHIN_S = 5.0


@dataclass
class _Watch:
    """What is known about one running call. Moments are monotonic."""

    pid: int
    started: float
    revoked_at: float | None = None
    reminders: int = 0


@dataclass(frozen=True)
class Execution:
    """A process that was killed because of one of its calls, which ends with an error.

    Attributes:
        error: says what the call did, but not which one it is: that is in its chunk, which is not at hand here.
    """

    call: RunningCall
    error: CallError


class Enforcement:
    """Over all children of one worker.

    Args:
        pids: seat -> process id of its child; kept up to date by others.
    """

    def __init__(self, seats: Sequence[Seat], pids: Mapping[int, int]) -> None:
        self._seats = seats
        self._pids = pids
        self._watched: dict[tuple[int, int], _Watch] = {}
        #: (batch, index) -> when it was ordered that it stops where it runs, and the seconds that it has for that.
        self._orders: dict[tuple[str, int], tuple[float, float]] = {}
        self._killed: dict[int, Execution] = {}

    def order(self, order: StopOrder) -> None:
        """Have calls stopped; on the orders' thread."""
        at_once = order.signal == signal.SIGKILL
        if order.running:
            self._orders[order.batch, order.index] = time.monotonic(), 0.0 if at_once else _GRACE_S
        for number, pid in list(self._pids.items()):
            if order.running and at_once and self._kill_meant(number, pid, order):
                continue
            self._seats[number].slot.stop(order)
            send(pid, ORDER)
            if order.running and any(order.means(call.batch, call.index) for call in self._running(number)):
                # One that has stopped itself hears nothing.
                send(pid, signal.SIGCONT)

    def ordered(self) -> list[str]:
        """Return the calls of which it was ordered lately that they stop, as ids; a batch stands for all of it."""
        return sorted(f"{batch}:{index}" if index >= 0 else batch for batch, index in list(self._orders))

    def _kill_meant(self, number: int, pid: int, order: StopOrder) -> bool:
        """Kill a child where a call runs that is to end without a word; returns whether one does."""
        meant = next((one for one in self._running(number) if order.means(one.batch, one.index)), None)
        if meant is not None:
            self._kill(number, meant, pid, TaskRevokedError("was revoked while it ran"))
        return pid in self._killed

    def killed(self, pid: int) -> Execution | None:
        """Return for which of its calls a dead process was killed by this one, None where it was not."""
        return self._killed.pop(pid, None)

    def look(self, now: float) -> float:
        """Do what is due; returns the seconds until something else may be."""
        for key in [key for key, (at, _) in list(self._orders.items()) if now - at > _REMEMBER_S]:
            self._orders.pop(key, None)
        seen: dict[tuple[int, int], _Watch] = {}
        due = now + _REMEMBER_S
        for number, pid in list(self._pids.items()):
            for call in self._running(number):
                watch = self._watched.get((number, call.serial))
                if watch is None or watch.pid != pid:
                    plausible = 0 <= now - call.started <= _SEEN_WITHIN_S
                    watch = _Watch(pid, call.started if plausible else now)
                seen[number, call.serial] = watch
                if pid not in self._killed:
                    due = min(due, self._enforce(number, call, watch, now))
        self._watched = seen
        return due - now

    def _running(self, number: int) -> Iterator[RunningCall]:
        seat = self._seats[number]
        call = seat.slot.running()
        if call is not None:
            yield call
        yield from seat.roster.running()

    def _enforce(self, number: int, call: RunningCall, watch: _Watch, now: float) -> float:
        """Do what is due about one call; returns when the next thing is (monotonic)."""
        moments = []
        grace_s = self._grace_of(call)
        if watch.revoked_at is None and grace_s is not None:
            watch.revoked_at = now
        if watch.revoked_at is not None:
            moments.append(watch.revoked_at + (_GRACE_S if grace_s is None else grace_s))
            if now >= moments[-1]:
                self._kill(number, call, watch.pid, TaskRevokedError("was revoked while it ran"))
                return now
        if call.limit_s:
            moments.append(watch.started + call.limit_s + _LIMIT_GRACE_S)
            if now >= moments[-1]:
                self._kill(number, call, watch.pid, _too_late(call))
                return now
        reminders = [
            watch.started + limit + _REMIND_S for limit in sorted({call.soft_s, call.limit_s}) if limit > 0
        ]
        if watch.reminders < len(reminders):
            if now >= reminders[watch.reminders]:
                watch.reminders += 1
                send(watch.pid, ORDER)
                send(watch.pid, signal.SIGCONT)
            moments += reminders[watch.reminders : watch.reminders + 1]
        return min((at for at in moments if at > now), default=now + _REMEMBER_S)

    def _grace_of(self, call: RunningCall) -> float | None:
        """Return the seconds that a revoked call has to end; None where it is not revoked."""
        orders = [self._orders.get((call.batch, index)) for index in (call.index, -1)]
        return min((order[1] for order in orders if order is not None), default=None)

    def _kill(self, number: int, call: RunningCall, pid: int, error: CallError) -> None:
        stop(pid)
        # While it stands still it is certain which call is hit: the next one is not.
        if any(other.serial == call.serial for other in self._running(number)):
            self._killed[pid] = Execution(call, error)
            kill_tree(pid, spare=self._pids.values())
        else:
            send(pid, signal.SIGCONT)


def _too_late(call: RunningCall) -> TimeLimitExceeded:
    if call.soft_s == PACKING:
        return TimeLimitExceeded(
            f"took longer than {call.limit_s:g} s to pickle what it has returned or raised"
        )
    return TimeLimitExceeded(f"ran longer than its time limit of {call.limit_s:g} s")
