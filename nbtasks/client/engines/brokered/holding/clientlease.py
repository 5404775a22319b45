"""The lease of a client that holds a lock, or waits for one, as workers have one.

It is renewed by a thread: where that does not come to it in time, or the process is killed, the locks are free.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbtasks.core.clock import steady
from nbtasks.core.errors import OperationalError

if TYPE_CHECKING:
    from nbtasks.broker.verbs.brokerline import BrokerLine
    from nbtasks.broker.verbs.locks import Locks
    from nbtasks.core.hold import Hold

#: Seconds after which a client that has not been heard of has lost its locks, and between two renewals.
LEASE_S = 15.0
_RENEW_S = 3.0
#: Seconds before the end of the lease at which locks count as lost, and between two looks at the time.
_BEFORE_S = 1.0
_LOOK_S = 0.2
_INFO_TTL_MS = 86_400_000


class ClientLease:
    """Of this process, renewed as long as somebody needs it."""

    def __init__(
        self, line: BrokerLine, end_line: Callable[[BrokerLine], None], worker: str, locks: Locks
    ) -> None:
        self._line, self._end_line = line, end_line
        self._fleet = line.fleet()
        self._worker = worker
        self._locks = locks
        self._number = itertools.count(1)
        self._holds: list[Hold] = []
        self._ended = threading.Event()
        self._begun = threading.Lock()
        self._until = 0.0
        self._renewed_at = 0.0

    def begin(self) -> None:
        """Have the lease before anything is held.

        Raises:
            OperationalError: the broker does not answer.
        """
        with self._begun:
            if self._until or self._ended.is_set():
                return
            self._renew()
            threading.Thread(target=self._loop, name="nbtasks-lock-lease", daemon=True).start()

    def watch(self, hold: Hold) -> None:
        """Say of a hold when it is lost."""
        self._holds.append(hold)

    def forget(self, hold: Hold) -> None:
        """It was given back."""
        with contextlib.suppress(ValueError):
            self._holds.remove(hold)

    def end(self) -> None:
        """Nobody needs it any more."""
        self._ended.set()
        # Not in the midst of a renewal: that would have the lease once more, over a connection that nobody ends.
        with self._begun:
            with contextlib.suppress(OperationalError):
                self._fleet.release(self._worker)
            self._end_line(self._line)

    def _renew(self) -> bool:
        """Renew it; returns whether it had not been gone."""
        asked_at = steady()
        lease = f"{round(LEASE_S * 1000)} {next(self._number)}"
        alive, _ = self._fleet.renew(self._worker, lease, "", _INFO_TTL_MS)
        self._until, self._renewed_at = asked_at + LEASE_S, time.monotonic()
        return alive

    def _loop(self) -> None:
        while not self._ended.wait(_LOOK_S):
            if steady() > self._until - _BEFORE_S:
                self._lose(list(self._holds))
            if time.monotonic() - self._renewed_at < _RENEW_S:
                continue
            try:
                with self._begun:
                    if not self._ended.is_set():
                        self._renew_and_look()
            except OperationalError:
                self._ended.wait(_LOOK_S)

    def _renew_and_look(self) -> None:
        held = list(self._holds)
        if not self._renew():
            self._lose(held)
        self._lose([one for one in held if not self._locks.are_held(one.locks, one.name, one.token)])

    def _lose(self, holds: list[Hold]) -> None:
        for hold in holds:
            if hold in self._holds and hold.lost_at is None:
                hold.lost_at = time.monotonic()
