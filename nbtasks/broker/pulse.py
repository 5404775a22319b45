"""Tells living workers from dead ones by their pulse: a number that grows each time a lease is renewed.

Whether it moves, an observer sees with its own clock. So no clock that is set, here or on the server, makes a living
worker look dead, or a dead one look alive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nbtasks.core.clock import steady
from nbtasks.core.workeroptions import MOST_LEASE_S

#: Seconds that a lease counts whose worker does not say it; and for which a worker that was silent is still shown.
_LEASE_S, _SHOWN_S = 15.0, 60.0


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


class Observer:
    """Looks at all workers when it is asked about some, and remembers how they were.

    Args:
        ask: tells the pulses of all workers, as :meth:`Fleet.pulses`.
    """

    def __init__(self, ask: Callable[[], tuple[float, dict[str, Pulse]]]) -> None:
        self._ask = ask
        self._pulses = Pulses(_LEASE_S, credulous=True)
        #: As of the last look.
        self._seen: dict[str, Seen] = {}

    def alive(self, workers: list[str]) -> set[str]:
        """Return those of some workers that live, as far as it has seen."""
        if not workers:
            return set()
        seen = self._look()
        return {worker for worker in workers if worker in seen and not seen[worker].dead}

    def shown(self) -> list[str]:
        """Return all workers that were seen lately."""
        return [name for name, seen in self._look().items() if seen.silent_s < _SHOWN_S]

    def silent_s(self, worker: str) -> float:
        """Return for how long a worker had not renewed its lease, at the last look at all of them."""
        seen = self._seen.get(worker)
        return seen.silent_s if seen is not None else 0.0

    def _look(self) -> dict[str, Seen]:
        asked_at = steady()
        _, found = self._ask()
        self._seen = self._pulses.look(found, asked_at, steady())
        return self._seen
