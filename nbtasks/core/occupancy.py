"""Who holds a lock and who waits for it, for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Holder:
    """One who holds a lock, for people: nothing of it is signed.

    Attributes:
        name: ``<batch>:<index>`` of a call; of code that has taken it by itself something else.
        worker: id of its worker, or of its client.
        title: the task's name, or what says where the code runs.
        since_s: seconds for which it has held it.
        capacity: how many may hold it at once, as it has said.
    """

    name: str
    worker: str
    title: str
    since_s: float
    capacity: int = 1


@dataclass(frozen=True)
class Occupancy:
    """Who holds a lock, and who waits.

    Attributes:
        waiting: how many do.
        before: how many of them come before who asks; None where it is not in the line.
        count: how many hold it; ``holders`` has some of them.
    """

    waiting: int
    before: int | None
    count: int
    holders: tuple[Holder, ...]


@dataclass(frozen=True)
class LockLook:
    """A lock that somebody holds or waits for.

    Attributes:
        name: as users write it.
        held: who does.
    """

    id: str
    name: str
    held: Occupancy
