"""Renew the worker's lease and show what it does. Runs beside the supervisor's main thread, never beside user code."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from nbtasks.broker.brokererrors import LoginRefused
from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.fleet import Fleet
from nbtasks.core.clock import steady
from nbtasks.core.errors import OperationalError
from nbtasks.core.workersheet import WorkerSheet
from nbtasks.worker.log import LOGGER

from .duty import Duty

#: Seconds that a worker's line in the list outlives it, if nobody takes it off: more than a clock is ever set by.
INFO_TTL_S = 7 * 86_400.0
#: Seconds until the next look at the server's time, when a clock was set.
_CLOCK_S = 0.2


class Lease:
    """A worker's right to keep the calls that its children hold. Nothing else runs on its thread.

    Args:
        sheet: returns what the list of workers shows.
        clock: of the server; it is kept with each renewal.
        on_renewed: told until when the lease holds for sure (steady clock), whether it had been gone, and what to add
            to that clock to get the server's time.
    """

    def __init__(
        self,
        fleet: Fleet,
        worker: str,
        lease_s: float,
        clock: ServerClock,
        sheet: Callable[[], WorkerSheet],
        on_renewed: Callable[[float, bool, float], None],
    ) -> None:
        self._fleet = fleet
        self._worker = worker
        self._lease_s = lease_s
        self._clock = clock
        self._sheet = sheet
        self._on_renewed = on_renewed
        self._number = itertools.count(1)
        self._duty = Duty("lease", self._renew_and_rest)
        #: Since when the broker cannot be reached (monotonic); None while it can.
        self._away_since: float | None = None
        #: What kind of trouble was told of this outage.
        self._told: type[OperationalError] | None = None

    def start(self) -> None:
        """Take the lease, then renew it from a thread."""
        self.renew()
        self._duty.start()

    def soon(self) -> None:
        """Renew now rather than in a while: there is something new to show."""
        self._duty.soon()

    def stop(self) -> None:
        """Stop renewing; after this the lease may be released."""
        self._duty.stop()

    def renew(self) -> bool:
        """Renew; returns whether to do it again soon."""
        info = self._sheet().to_wire()
        asked_at = steady()
        lease = f"{round(self._lease_s * 1000)} {next(self._number)}"
        alive, reading = self._fleet.renew(self._worker, lease, info, round(INFO_TTL_S * 1000))
        try:
            return self._clock.keep(reading)
        finally:
            self._on_renewed(asked_at + self._lease_s, not alive, self._clock.offset_s)

    def _renew_and_rest(self) -> float:
        try:
            again = self.renew()
        except OperationalError as error:
            self._note_trouble(error)
            return min(1.0, self._lease_s / 10)
        if self._away_since is not None:
            LOGGER.warning("the broker answers again, after %.0f s", time.monotonic() - self._away_since)
            self._away_since, self._told = None, None
        return min(_CLOCK_S, self._lease_s / 5) if again else self._lease_s / 5

    def _note_trouble(self, error: OperationalError) -> None:
        """Say it once for each outage, and once that it is the login; the other duties are silent about it."""
        self._away_since = self._away_since or time.monotonic()
        if self._told is None or (isinstance(error, LoginRefused) and self._told is not LoginRefused):
            self._told = type(error)
            LOGGER.warning(
                "the lease could not be renewed, and is tried again until the broker answers: %s", error
            )
