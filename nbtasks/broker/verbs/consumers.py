"""Queue verbs of supervisors: who holds entries; and what nobody holds, though it was delivered."""

from __future__ import annotations

from typing import Protocol


def consumer_of(worker: str, number: int) -> str:
    """Return under which name a worker's child takes entries."""
    return f"{worker}/{number}"


def worker_of(consumer: str) -> str:
    """Return whose child a consumer is."""
    return consumer.rpartition("/")[0]


class Consumers(Protocol):
    """All consumers of some queues, whoever made them."""

    def counts(self) -> dict[str, int]:
        """Return every consumer that is known with the number of entries that it holds, which may be none."""

    def adopt_orphans(self) -> int:
        """Queue again, as returned work, what counts as delivered and is held by nobody; returns how many entries.

        A leg on which that cannot happen looks for nothing. What is queued twice by it ends once: the first result
        wins, and a copy ends when it is taken. A part of it is done where it is cut off; it may be said again.
        """
