"""Signals in a child's main thread: stop the running call, time limits, shutdown.

A signal may come at any moment. An exception is raised only while a call is armed, and only for that very call.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import TaskRevokedError
from nbtasks.core.execution import Interrupted
from nbtasks.core.options import TaskOptions

from .limits import hard_limit_exceeded, soft_limit_reached
from .slots import Slot

T = TypeVar("T")


class Stopping(BaseException):
    """Ends a wait for work because the child shall stop."""


class Interrupts:
    """The signal handlers of one child.

    Args:
        on_order: called for an order to stop calls that the main thread does not run.
    """

    def __init__(self, slot: Slot, on_order: Callable[[], None]) -> None:
        self.stopping = False
        self._slot = slot
        self._on_order = on_order
        self._call: CurrentCall | None = None
        self._limit: float | None = None
        self._first = 0.0
        self._soft = False
        self._waiting = False
        self._doomed: tuple[str, int] | None = None

    def install(self) -> None:
        """Set the handlers; main thread only."""
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGUSR1, self._on_stop_order)
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

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
            self._soft = bool(soft and (not hard or soft < hard))
            first = soft if self._soft else hard
            self._limit, self._first = hard, first or 0.0
            self._call = call
            signal.setitimer(signal.ITIMER_REAL, first or 0)
        else:
            self._limit = None
            self._call = call

    def check(self) -> None:
        """Stop the call that was just armed, if the order came a moment before.

        Raises:
            Interrupted: it was revoked.
        """
        if not self._slot.has_orders:
            return
        call, order = self._call, self._slot.to_stop()
        if call is not None and order.running and order.means(call.batch, call.index):
            self._call = None
            raise Interrupted(TaskRevokedError(f"call {call.id} was revoked while it ran", call.id))

    def disarm(self) -> None:
        """From here on signals stop nothing."""
        self._call = None
        if self._limit is not None or self._soft:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._soft = False

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        if self._waiting:
            self._waiting = False
            raise Stopping

    def doom(self, call: CurrentCall) -> None:
        """Have the next SIGUSR1 stop this call, if it still runs then."""
        self._doomed = (call.batch, call.index)

    def _on_stop_order(self, number: int, frame: FrameType | None) -> None:
        self._on_order()
        call = self._call
        if call is None:
            return
        order = self._slot.to_stop()
        meant = order.running and order.means(call.batch, call.index)
        if meant or self._doomed == (call.batch, call.index):
            self._call = None
            raise Interrupted(TaskRevokedError(f"call {call.id} was revoked while it ran", call.id))

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        call = self._call
        if call is None:
            return
        if self._soft:
            self._soft = False
            if self._limit is not None:
                # What is left until the hard limit is for cleaning up.
                signal.setitimer(signal.ITIMER_REAL, max(0.001, self._limit - self._first))
            raise soft_limit_reached(call)
        self._call = None
        assert self._limit is not None
        raise Interrupted(hard_limit_exceeded(call, self._limit))
