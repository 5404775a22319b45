"""Queue verbs for who looks on: which queues there are, how much lies in them; and what is due is queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nbtasks.core.address import Address


class Queues(Protocol):
    """Looks at queues. Only :meth:`promote` changes anything."""

    def addresses(self) -> list[Address]:
        """Return every queue address that has had a call or a worker, sorted, of a thousand at most."""

    def length(self, address: str, lanes: str) -> int:
        """Return how many entries wait or are in hand in these lanes of a queue."""

    def waiting(self, address: str, lanes: str) -> int:
        """Return how many entries of these lanes of a queue no worker has taken yet."""

    def in_hand(self, address: str, sizes: Mapping[str, int]) -> dict[str, set[int]]:
        """Return batch -> indexes of those calls of a queue that workers have in hand, running or about to.

        Not one step: a call that moves meanwhile may be missed, or be told though it is not in hand any more.

        Args:
            sizes: the batches that are asked about, each with its number of calls.
        """

    def promote(self, address: str, now: float) -> tuple[int, float | None]:
        """Queue calls that are due at a moment of the server's time as it is reckoned (epoch seconds).

        Also goes on with the release of a large batch that has waited for others. 200 entries at most, each one step:
        where it returns 200, there may be more. Any number of supervisors may do it at once; no call is queued twice by
        that, but one may be where the server is cut off in the middle, and its copy ends when it is taken.

        Returns how many were due (what was released besides is not counted), and the seconds until there is more to do:
        0 where a release is to go on, None where nothing waits.
        """
