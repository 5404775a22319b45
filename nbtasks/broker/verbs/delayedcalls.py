"""Calls that are due later, as they lie on the server. Nothing of it is signed; it is only shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class DelayedEntry:
    """Some calls of a batch.

    Attributes:
        due_at: epoch seconds of the server, as its time is reckoned.
        first, count: which calls.
        limit: the limit that they wait for, or "@" and the lock; empty where they wait for that moment alone.
    """

    due_at: float
    batch: str
    first: int
    count: int
    limit: str


class DelayedCalls(Protocol):
    """Reads them."""

    def listed(self, address: str) -> list[DelayedEntry]:
        """Return those of a queue that are due first, two thousand entries at most."""
