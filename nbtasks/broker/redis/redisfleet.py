"""Workers as a whole: leases, the list of workers."""

from __future__ import annotations

import time

from nbtasks.broker.pulse import Observer, Pulse
from nbtasks.broker.servertime import Reading
from nbtasks.broker.verbs.fleet import MOST_INFO, MOST_WORKERS
from nbtasks.core.clock import steady
from nbtasks.core.workersheet import WorkerSheet

from .keys import Keys
from .link import Link
from .untrusted import names


class RedisFleet:
    """Leases, and the view of all workers."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._observer = Observer(self.pulses)

    def renew(self, worker: str, lease: str, info: str, info_ttl_ms: int) -> tuple[bool, Reading]:
        """Renew a worker's lease; returns whether it was still there, and the server's time.

        Args:
            lease: for how long it counts (ms), and a number that grows each time.
        """
        asked_at, wall_at = steady(), time.time()
        alive, micros, noted = self._link.script(
            "renew", [self._keys.root], [worker, lease, info, info_ttl_ms]
        )
        return bool(alive), Reading(micros / 1e6, noted, asked_at, steady(), wall_at)

    def release(self, worker: str) -> None:
        """End a worker's lease and take it off the list."""
        self._link.pipeline(
            [
                ("DEL", self._keys.lease(worker), self._keys.worker_info(worker)),
                ("ZREM", self._keys.workers, worker),
            ]
        )

    def alive(self, workers: list[str]) -> set[str]:
        """Return those workers that live, as far as this process has seen."""
        return self._observer.alive(workers)

    def silent_s(self, worker: str) -> float:
        """Return for how long a worker had not renewed its lease, at the last look at all of them."""
        return self._observer.silent_s(worker)

    def pulses(self) -> tuple[float, dict[str, Pulse]]:
        """Return the server's clock in epoch seconds, and the pulses of all workers on the list."""
        now, *found = self._link.script("pulses", [self._keys.root], [MOST_WORKERS])
        pulses = {}
        for name, lease, age_ms in zip(found[::3], found[1::3], found[2::3], strict=True):
            for worker in names([name]):
                pulses[worker] = Pulse(lease, age_ms / 1000, buried=age_ms < 0)
        return now / 1000, pulses

    def lapse(self, worker: str, lease: bytes) -> bool:
        """End the lease of a worker that is dead; False when it was renewed since it had this value."""
        return bool(self._link.script("lapse", [self._keys.root], [worker, lease]))

    def enlist(self, worker: str) -> None:
        """Put a worker on the list that is on none, so that somebody looks whether it lives."""
        self._link.call_or_nothing(("ZADD", self._keys.workers, "NX", 1, worker), 0)

    def strike_off(self, workers: list[str]) -> None:
        """End the leases of workers that hold nothing, and take them off the list."""
        for start in range(0, len(workers), 1000):
            part = workers[start : start + 1000]
            keys = [key for name in part for key in (self._keys.lease(name), self._keys.worker_info(name))]
            self._link.pipeline([("DEL", *keys), ("ZREM", self._keys.workers, *part)])

    def bury(self, worker: str) -> None:
        """Say that a worker is known to be dead, so that its calls are given back at once."""
        self._link.call("DEL", self._keys.lease(worker))
        self._link.call_or_nothing(("ZADD", self._keys.workers, 0, worker), 0)

    def workers(self) -> dict[str, WorkerSheet]:
        """Return worker -> what it shows of itself, of all workers that were seen lately. Nobody has signed it."""
        return self.sheets(self._observer.shown())

    def sheets(self, found: list[str]) -> dict[str, WorkerSheet]:
        """Return the same of those workers that have shown something."""
        sheets: dict[str, WorkerSheet] = {}
        for start in range(0, len(found), 500):
            part = found[start : start + 500]
            # One byte more than is read: what is too long is cut short, and then it is no JSON.
            asked = [("GETRANGE", self._keys.worker_info(name), 0, MOST_INFO) for name in part]
            for name, info in zip(part, self._link.pipeline(asked), strict=True):
                if isinstance(info, bytes) and 0 < len(info) <= MOST_INFO:
                    sheet = WorkerSheet.from_wire(info.decode(errors="replace"))
                    if sheet is not None:
                        sheets[name] = sheet
        return sheets
