"""Calls that are due later, as they lie in the server. Nothing of it is signed; it is only shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.delayedcalls import DelayedEntry

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST = 2000


class PgDelayedCalls:
    """Reads them."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def listed(self, address: str) -> list[DelayedEntry]:
        """Return those of a queue that are due first."""
        return [
            DelayedEntry(due / 1000, batch, first, count, waits_for)
            for due, batch, first, count, waits_for in self._line.rows("delayed", address, _MOST)
        ]
