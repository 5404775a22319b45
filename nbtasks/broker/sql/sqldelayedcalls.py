"""Calls that are due later, as they lie in the server. Nothing of it is signed; it is only shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.delayedcalls import DelayedEntry

from .sqlentries import LATER, queue_there

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

_MOST = 2000


class SqlDelayedCalls:
    """Reads them."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def listed(self, address: str) -> list[DelayedEntry]:
        """Return those of a queue that are due first."""
        return [
            DelayedEntry(due / 1000, batch, first, size, waits_for)
            for due, batch, first, size, waits_for in self._line.read(delayed, address)
        ]


def delayed(tx: Transaction, address: str) -> list[Row]:
    """Return when, batch, first, size, and the limit or lock that they wait for."""
    return tx.rows(
        "SELECT due, batch, first, size, waits_for FROM @entries WHERE queue = ? AND standing = ? "
        "ORDER BY due, id LIMIT ?",
        *(queue_there(tx, address), LATER, _MOST),
    )
