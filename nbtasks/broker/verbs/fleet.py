"""Workers as a whole: leases, what workers show of themselves."""

from __future__ import annotations

from typing import Protocol

from nbtasks.broker.pulse import Pulse
from nbtasks.broker.servertime import Reading
from nbtasks.core.workersheet import WorkerSheet

#: Workers that are looked at in one go, and characters of what one shows of itself.
MOST_WORKERS = 10_000
MOST_INFO = 256 * 1024


class Fleet(Protocol):
    """Leases, and the list of workers. Clients have leases, too, as long as they hold locks.

    A lease never ends by itself: who sees that it was not renewed (``broker/pulse.py``) drops it. So no clock that is
    set makes anybody look dead.
    """

    def renew(self, worker: str, lease: str, info: str, info_ttl_ms: int) -> tuple[bool, Reading]:
        """Renew a worker's lease; returns whether it was still there, and the server's time; one step.

        May be said again with the same lease; then it was there.

        Args:
            lease: for how long it counts (ms), a blank, and a number that grows each time.
            info: what the worker shows of itself: JSON; kept for ``info_ttl_ms``.
        """

    def release(self, worker: str) -> None:
        """End a worker's lease and take it off the list, with what it shows."""

    def pulses(self) -> tuple[float, dict[str, Pulse]]:
        """Return the server's clock in epoch seconds, and the pulses of all workers on the list, 10,000 at most."""

    def alive(self, workers: list[str]) -> set[str]:
        """Return those workers that live, as far as this process has seen over this object."""

    def silent_s(self, worker: str) -> float:
        """Return for how long a worker had not renewed its lease, at the last look at all of them. No round trip."""

    def workers(self) -> dict[str, WorkerSheet]:
        """Return worker -> what it shows of itself, of all workers that were seen lately. Nobody has signed it."""

    def sheets(self, found: list[str]) -> dict[str, WorkerSheet]:
        """Return the same of those workers that have shown something."""

    def lapse(self, worker: str, lease: bytes) -> bool:
        """End the lease of a worker that is dead; False when it was renewed since it had this value. One step."""

    def enlist(self, worker: str) -> None:
        """Put a worker on the list that is on none, so that somebody looks whether it lives."""

    def strike_off(self, workers: list[str]) -> None:
        """End the leases of workers that hold nothing, and take them off the list."""

    def bury(self, worker: str) -> None:
        """Say that a worker is known to be dead, so that its calls are given back at once."""
