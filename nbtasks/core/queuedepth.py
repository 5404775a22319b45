"""How much waits in a queue, for people."""

from __future__ import annotations

from dataclasses import dataclass

from .address import Address


@dataclass(frozen=True)
class QueueDepth:
    """A queue of one kind. An entry is one call, or calls of a map that travel together.

    Attributes:
        waiting: entries that no worker has.
        running: entries that workers have in hand.
        delayed: entries that are due later, or wait for a limit or a lock.
        oldest_s: seconds for which the first one of those that wait has done so; None where none waits.
    """

    address: Address
    waiting: int
    running: int
    delayed: int
    oldest_s: float | None
