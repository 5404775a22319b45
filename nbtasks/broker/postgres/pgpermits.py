"""Rate limits: permits to start calls, from the server and in its time, so that all workers together keep to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.permits import Grant, Limited

if TYPE_CHECKING:
    from .pglink import PgLink


class PgPermits:
    """Takes permits, and says who waits for some."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def take(self, limit: str, every_s: float, most: int, in_hand: int, address: str) -> Grant:
        """Take permits to start calls."""
        permits, first_us, again_ms = self._line.rows("permit", limit, every_s * 1e6, most, in_hand, address)[
            0
        ]
        return Grant(permits, first_us / 1e6, again_ms / 1000)

    def limited(self, address: str, batch: str) -> Limited | None:
        """Return which limit, or lock, calls of a batch wait for; None where none is found to."""
        for waits_for, next_ms, first in self._line.rows("limited", address, batch):
            if waits_for.startswith("@"):
                return Limited("", lock=waits_for[1:], index=first)
            return Limited(waits_for.partition(":")[2], next_ms / 1000)
        return None
