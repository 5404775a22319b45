"""Workers as a whole: leases, what workers show of themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.pulse import Observer, Pulse
from nbtasks.broker.servertime import Reading
from nbtasks.broker.verbs.fleet import MOST_INFO, MOST_WORKERS
from nbtasks.core.clock import steady
from nbtasks.core.workersheet import WorkerSheet

if TYPE_CHECKING:
    from .pglink import PgLink


class PgFleet:
    """Leases, and the view of all workers."""

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self._observer = Observer(self.pulses)

    def renew(self, worker: str, lease: str, info: str, info_ttl_ms: int) -> tuple[bool, Reading]:
        """Renew a worker's lease; returns whether it was still there, and the server's time."""
        asked_at, wall_at = steady(), time.time()
        alive, micros, ahead = self._line.rows("renew", worker, lease.encode(), info.replace("\0", ""))[0]
        return bool(alive), Reading(micros / 1e6, ahead.encode(), asked_at, steady(), wall_at)

    def release(self, worker: str) -> None:
        """End a worker's lease and take it off the list."""
        self.strike_off([worker])

    def pulses(self) -> tuple[float, dict[str, Pulse]]:
        """Return the server's clock in epoch seconds, and the pulses of all workers on the list."""
        (now, *_), *rows = self._line.rows("pulses", MOST_WORKERS)
        return now / 1000, {
            worker: Pulse(lease or b"", age / 1000, buried=age < 0) for _, worker, lease, age in rows
        }

    def alive(self, workers: list[str]) -> set[str]:
        """Return those workers that live, as far as this process has seen."""
        return self._observer.alive(workers)

    def silent_s(self, worker: str) -> float:
        """Return for how long a worker had not renewed its lease, at the last look at all of them."""
        return self._observer.silent_s(worker)

    def workers(self) -> dict[str, WorkerSheet]:
        """Return worker -> what it shows of itself, of all workers that were seen lately."""
        return self.sheets(self._observer.shown())

    def sheets(self, found: list[str]) -> dict[str, WorkerSheet]:
        """Return the same of those workers that have shown something."""
        sheets = {}
        for name, info in self._line.rows("sheets", found) if found else ():
            sheet = WorkerSheet.from_wire(info) if 0 < len(info) <= MOST_INFO else None
            if sheet is not None:
                sheets[name] = sheet
        return sheets

    def lapse(self, worker: str, lease: bytes) -> bool:
        """End the lease of a worker that is dead; False when it was renewed since it had this value."""
        return bool(self._line.one("lapse", worker, lease))

    def enlist(self, worker: str) -> None:
        """Put a worker on the list that is on none, so that somebody looks whether it lives."""
        self._line.rows("enlist", worker)

    def strike_off(self, workers: list[str]) -> None:
        """End the leases of workers that hold nothing, and take them off the list."""
        if workers:
            self._line.rows("strike_off", workers)

    def bury(self, worker: str) -> None:
        """Say that a worker is known to be dead, so that its calls are given back at once."""
        self._line.rows("bury", worker)
