"""Signals in a child's main thread: stop the running call, time limits, shutdown.

A signal may come at any moment. An exception is raised only while a call is armed, and only for that very call. Signals
say that there is something to do; what it is, the slot and the clock say. So it does not matter which one comes, or
whether one was lost: the supervisor looks as well.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

# By name: a task may put something else into the module.
from signal import ITIMER_REAL, setitimer
from time import monotonic
from types import FrameType
from typing import TypeVar

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import TaskRevokedError
from nbtasks.core.interruption import Interrupted
from nbtasks.core.options import TaskOptions
from nbtasks.worker.isolation.surroundings import Handler
from nbtasks.worker.slots import Slot, StopOrder

from .limits import hard_limit_exceeded, soft_limit_reached

T = TypeVar("T")

#: Has a child look what it shall stop. Where there is a signal that nobody else uses, tasks do not take it over.
ORDER = int(signal.SIGRTMIN) + 10 if hasattr(signal, "SIGRTMIN") else int(signal.SIGUSR1)
#: A timer may come so many seconds too early, for it counts in microseconds.
_EARLY_S = 0.000_1


def _pass_over(number: int, frame: FrameType | None) -> None:
    """Do nothing. A signal that is ignored instead is ignored by every program that is started here, too."""


class Stopping(BaseException):
    """Ends a wait for work because the child shall stop."""


class KeyboardInterrupted(Interrupted, KeyboardInterrupt):
    """Stops a call that was revoked with SIGINT: it may clean up in ``except KeyboardInterrupt``."""


class Interrupts:
    """The signal handlers of one child.

    Args:
        on_order: called for an order to stop calls that the main thread does not run.

    Attributes:
        stopped: why the call that was armed was stopped, None where it was not. It may have caught that.
    """

    def __init__(self, slot: Slot, on_order: Callable[[], None]) -> None:
        self.stopping = False
        self.stopped: Exception | None = None
        self._slot = slot
        self._on_order = on_order
        self._call: CurrentCall | None = None
        #: When the call's limits are reached (monotonic).
        self._soft_at: float | None = None
        self._hard_at: float | None = None
        self._limit = 0.0
        self._waiting = False
        self._doomed: tuple[tuple[str, int], Exception] | None = None
        #: The last order whose signal was passed on to a handler of the call's own.
        self._passed_on = 0

    def handlers(self) -> dict[int, Handler]:
        """Return signal -> handler."""
        return {
            int(signal.SIGTERM): self._on_term,
            ORDER: self._on_stop_order,
            int(signal.SIGALRM): self._on_alarm,
            int(signal.SIGINT): _pass_over,
        }

    def hear(self) -> None:
        """Have the child hear that it is told to end, and not before: what it was told meanwhile comes now."""
        signal.signal(signal.SIGTERM, self._on_term)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def while_waiting(self, wait: Callable[[], T]) -> T:
        """Wait for work: a shutdown raises Stopping meanwhile."""
        self._waiting = True
        try:
            if self.stopping:
                raise Stopping
            return wait()
        finally:
            self._waiting = False

    def arm(self, call: CurrentCall, options: TaskOptions) -> None:
        """From here on signals may stop this call."""
        soft, hard = options.soft_time_limit, options.time_limit
        if soft or hard:
            now = monotonic()
            self._soft_at = now + soft if soft and (not hard or soft < hard) else None
            self._hard_at, self._limit = (now + hard if hard else None), hard or 0.0
            self._call = call
            self._set_timer(now)
        else:
            self._call = call

    def check(self) -> None:
        """Stop the call that was just armed, if the order came a moment before.

        Raises:
            Interrupted: it was revoked.
        """
        if self._slot.has_orders:
            self._stop_what_is_revoked()

    def disarm(self) -> None:
        """From here on signals stop nothing."""
        self._call = None
        if self._soft_at is not None or self._hard_at is not None:
            setitimer(ITIMER_REAL, 0)
            self._soft_at = self._hard_at = None

    def doom(self, call: CurrentCall, reason: Exception) -> None:
        """Have the next order stop this call for a reason, if it still runs then."""
        self._doomed = (call.batch, call.index), reason

    def _set_timer(self, now: float) -> None:
        at = self._hard_at if self._soft_at is None else self._soft_at
        if at is not None:
            setitimer(ITIMER_REAL, max(0.001, at - now))

    # -- handlers

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        if self._waiting:
            self._waiting = False
            raise Stopping

    def _on_stop_order(self, number: int, frame: FrameType | None) -> None:
        self._on_order()
        self._stop_what_is_revoked()
        self._stop_what_is_late()

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        self._stop_what_is_late()

    def _stop_what_is_revoked(self) -> None:
        call, order = self._call, self._slot.to_stop()
        if call is None:
            return
        if order.running and order.means(call.batch, call.index):
            self._follow(order, call)
        elif self._doomed is not None and self._doomed[0] == (call.batch, call.index):
            self._end(self._doomed[1])

    def _follow(self, order: StopOrder, call: CurrentCall) -> None:
        """Stop the call that runs; a handler that it has itself for the signal is called, once."""
        if order.signal and self._is_handled(order.signal):
            if order.serial != self._passed_on:
                self._passed_on = order.serial
                signal.raise_signal(order.signal)
            return
        reason = TaskRevokedError(f"call {call.id} was revoked while it ran", call.id)
        self._end(reason, KeyboardInterrupted if order.signal == signal.SIGINT else Interrupted)

    def _is_handled(self, number: int) -> bool:
        """Whether the call that runs has a handler of its own for a signal."""
        found = signal.getsignal(number)
        return callable(found) and found not in (*self.handlers().values(), signal.default_int_handler)

    def _stop_what_is_late(self) -> None:
        call, now = self._call, monotonic() + _EARLY_S
        if call is None:
            return
        if self._hard_at is not None and now >= self._hard_at:
            self._end(hard_limit_exceeded(call, self._limit))
        if self._soft_at is not None and now >= self._soft_at:
            self._soft_at = None
            # What is left until the hard limit is for cleaning up.
            self._set_timer(now)
            raise soft_limit_reached(call)
        self._set_timer(now)

    def _end(self, reason: Exception, kind: type[Interrupted] = Interrupted) -> None:
        self._call = None
        self.stopped = reason
        raise kind(reason)
