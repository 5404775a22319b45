"""Tells living workers from dead ones by their pulse: a number that grows each time a lease is renewed.

Whether it moves, an observer sees with its own clock. So no clock that is set, here or on the server, makes a living
worker look dead, or a dead one look alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nbtasks.core.workeroptions import MOST_LEASE_S


@dataclass(frozen=True)
class Pulse:
    """What the server has of one worker; nothing of it is signed.

    Attributes:
        lease: the value of its lease, empty where there is none.
        age_s: seconds since the last renewal by the server's clock, which may have been set since.
        buried: somebody who knows has said that it is dead.
    """

    lease: bytes
    age_s: float
    buried: bool = False

    def lease_s(self, default: float) -> float:
        """Return how long a lease counts after a renewal."""
        ms = self.lease.partition(b" ")[0]
        if not ms.isdigit() or len(ms) > 9:
            return default
        return min(int(ms) / 1000, MOST_LEASE_S)


@dataclass(frozen=True)
class Seen:
    """How an observer sees one worker.

    Attributes:
        lease: the value of its lease.
        silent_s: for so long it has not been renewed, for sure.
        dead: that is too long, or it is buried.
    """

    lease: bytes
    silent_s: float
    dead: bool


class Pulses:
    """Follows the pulses of all workers, as one observer.

    Args:
        lease_s: of a worker whose lease does not say it.
        credulous: believe the server's clock about a worker that was never seen before.
    """

    def __init__(self, lease_s: float, credulous: bool) -> None:
        self._lease_s = lease_s
        self._credulous = credulous
        #: Worker -> the value of its lease, and when that was seen first (steady clock).
        self._watched: dict[str, tuple[bytes, float]] = {}

    def forget(self) -> None:
        """Begin anew: for a while nobody could be seen, and perhaps nobody could renew a lease."""
        self._watched = {}

    def look(self, found: Mapping[str, Pulse], asked_at: float, heard_at: float) -> dict[str, Seen]:
        """Return how all workers are, from what the server has told.

        Args:
            asked_at: when it was asked (steady clock), and ``heard_at`` when it had answered.
        """
        before = self._watched
        watched = {name: self._since(before.get(name), pulse, heard_at) for name, pulse in found.items()}
        self._watched = watched
        return {name: self._seen(pulse, asked_at - watched[name][1]) for name, pulse in found.items()}

    def _since(
        self, before: tuple[bytes, float] | None, pulse: Pulse, heard_at: float
    ) -> tuple[bytes, float]:
        if before is not None and before[0] == pulse.lease:
            return before
        age_s = pulse.age_s if before is None and self._credulous else 0.0
        return pulse.lease, heard_at - max(0.0, age_s)

    def _seen(self, pulse: Pulse, silent_s: float) -> Seen:
        buried = pulse.buried and not pulse.lease
        return Seen(pulse.lease, max(0.0, silent_s), buried or silent_s >= pulse.lease_s(self._lease_s))
