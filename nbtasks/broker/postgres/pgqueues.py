"""Queues looked at from outside; and what is due is queued."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbtasks.core.address import Address

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_ADDRESSES = 1000
_MOST_AT_ONCE = 200


class PgQueues:
    """Looks at them."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def addresses(self) -> list[Address]:
        """Return every queue address that has been used, of a thousand at most."""
        return readable_addresses([text for (text,) in self._line.rows("addresses")])[:_MOST_ADDRESSES]

    def length(self, address: str, lanes: str) -> int:
        """Return how many entries wait or run in these lanes of a queue."""
        return int(self._line.rows("queue_length", address, lanes)[0][0])

    def waiting(self, address: str, lanes: str) -> int:
        """Return how many entries of these lanes of a queue no worker has taken yet."""
        all_of_them, in_hand = self._line.rows("queue_length", address, lanes)[0]
        return int(all_of_them - in_hand)

    def in_hand(self, address: str, sizes: Mapping[str, int]) -> dict[str, set[int]]:
        """Return batch -> indexes of those calls of a queue that workers have in hand, running or about to."""
        found: dict[str, set[int]] = {}
        for batch, first, count in self._line.rows("calls_in_hand", address, list(sizes)) if sizes else ():
            found.setdefault(batch, set()).update(range(first, min(first + count, sizes[batch])))
        return found

    def promote(self, address: str, now: float) -> tuple[int, float | None]:
        """Queue calls that are due; returns how many, and the seconds until the next one (None: none waits)."""
        moved, next_ms = self._line.rows("promote", address, round(now * 1000), _MOST_AT_ONCE)[0]
        return int(moved), None if next_ms < 0 else next_ms / 1000


def readable_addresses(texts: list[str]) -> list[Address]:
    """Return those texts that are addresses, sorted."""
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(Address.parse(text))
    return sorted(found)
