"""Renew the worker's lease and show what it does. Runs beside the supervisor's main thread, never beside user code."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from nbtasks.broker.fleet import Fleet
from nbtasks.core.errors import OperationalError

from .log import LOGGER

#: Seconds that a worker's line in the list outlives it.
INFO_TTL_S = 60.0


class Lease:
    """A worker's right to keep the calls that its children hold.

    Args:
        info: returns what the list of workers shows, JSON types.
        after: duties that go with a renewal, each called with the server's time; True asks to be called again soon.
    """

    def __init__(
        self,
        fleet: Fleet,
        worker: str,
        lease_s: float,
        info: Callable[[], dict[str, Any]],
        after: list[Callable[[float], bool]],
    ) -> None:
        self._fleet = fleet
        self._worker = worker
        self._lease_s = lease_s
        self._info = info
        self._after = after
        self._end = threading.Event()
        self._soon = threading.Event()

    def start(self) -> None:
        """Take the lease, then renew it from a thread."""
        self.renew()
        threading.Thread(target=self._loop, name="nbtasks-lease", daemon=True).start()

    def soon(self) -> None:
        """Renew now rather than in a while: there is something new to show."""
        self._soon.set()

    def renew(self) -> float:
        """Renew; returns the server's time in epoch seconds."""
        info = json.dumps({**self._info(), "seen_at": time.time()})
        alive, now = self._fleet.renew(
            self._worker, round(self._lease_s * 1000), info, round(INFO_TTL_S * 1000)
        )
        del alive
        return now

    def stop(self) -> None:
        """Stop renewing."""
        self._end.set()
        self._soon.set()

    def _loop(self) -> None:
        delay = self._lease_s / 5
        while True:
            self._soon.wait(delay)
            self._soon.clear()
            if self._end.is_set():
                return
            try:
                now = self.renew()
                again = [duty(now) for duty in self._after]
                delay = min(0.5, self._lease_s / 5) if any(again) else self._lease_s / 5
            except OperationalError as error:
                LOGGER.warning("the lease could not be renewed: %s", error)
                delay = min(1.0, self._lease_s / 10)
            except Exception:
                LOGGER.exception("a duty of the supervisor failed")
