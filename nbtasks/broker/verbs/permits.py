"""Rate limits: permits to start calls, from the server and in its time, so that all workers together keep to them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol


def limit_of(task: str, rate: str) -> str:
    """Return what names a rate limit: tasks of one name with the same rate share it."""
    return f"{hashlib.sha256(task.encode()).hexdigest()[:16]}:{rate}"


@dataclass(frozen=True)
class Grant:
    """What the server says to a child that wants to start calls.

    Attributes:
        permits: so many may start.
        first_s: seconds until the first one may; negative where it could have started already.
        again_s: seconds after which the others shall ask again.
    """

    permits: int
    first_s: float
    again_s: float


@dataclass(frozen=True)
class Limited:
    """Calls wait for a rate limit, or for a lock. Nothing of this is signed; it is only shown.

    Attributes:
        rate: as ``10/s``; empty where it is a lock.
        next_s: seconds until the next start.
        lock: id of the lock.
        index: of the call that was found to wait.
    """

    rate: str
    next_s: float = 0.0
    lock: str = ""
    index: int = 0


class Permits(Protocol):
    """Takes permits, and says who waits for some."""

    def take(self, limit: str, every_s: float, most: int, in_hand: int, address: str) -> Grant:
        """Take permits to start calls, in one step.

        Starts are never closer together than ``every_s`` on the whole, by the server's clock: what was missed is made
        up for by 50 ms at most, a permit may be granted a moment (5 ms; up to 100 ms where starts are less than 20 ms
        apart) before its start, and a clock that was set back delays no start by more than one. Permits that nobody
        uses are lost: a crash means fewer starts, never more. So it is not said again where the answer is lost, unless
        that does not matter. Who gets none is assigned a time to ask again such that all come in a line, without a
        crowd at each start.

        Args:
            limit: its name, from :func:`limit_of`.
            every_s: seconds from one start to the next.
            most: so many could start soon.
            in_hand: calls that wait, these included; what gets no permit is assigned a time to ask again.
            address: of the queue.
        """

    def limited(self, address: str, batch: str) -> Limited | None:
        """Return which limit, or lock, calls of a batch wait for; None where none is found to."""
