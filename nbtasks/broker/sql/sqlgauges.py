"""What people read off the server. Nothing of it is signed; it is only shown."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nbtasks.core.address import Address
from nbtasks.core.queuedepth import QueueDepth
from nbtasks.core.servergauges import ServerGauges

from .sqlentries import HELD, LATER, WAITS
from .sqllocks import lock_ids

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

_MOST_QUEUES, _MOST_LOCKS = 300, 200


class SqlGauges:
    """Reads them."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def queues(self) -> list[QueueDepth]:
        """Return all queues that have had a call or a worker, by their names."""
        found = []
        for text, numbers, oldest_s in self._line.read(depths):
            with contextlib.suppress(ValueError):
                found.append(QueueDepth(Address.parse(text), *numbers, oldest_s))
        return found

    def lock_ids(self) -> list[str]:
        """Return the ids of locks that somebody holds or waits for."""
        return self._line.read(lock_ids, _MOST_LOCKS)

    def server(self) -> ServerGauges:
        """Return what the server says of itself."""
        return self._line.read(self._line.dialect.gauges)


def depths(tx: Transaction) -> list[tuple[str, tuple[int, int, int], float | None]]:
    """Return address, how many wait, are in hand and are due later, and seconds for which the first one has waited."""
    found, now = [], tx.now_ms()
    statement = "SELECT queue, address FROM @queues WHERE ns = ? ORDER BY address LIMIT ?"
    for queue, address in tx.rows(statement, tx.ns, _MOST_QUEUES):
        counts: dict[int, int] = dict(
            tx.rows("SELECT standing, count(*) FROM @entries WHERE queue = ? GROUP BY standing", queue)
        )
        oldest = tx.value("SELECT min(queued) FROM @entries WHERE queue = ? AND standing = ?", queue, WAITS)
        numbers = counts.get(WAITS, 0), counts.get(HELD, 0), counts.get(LATER, 0)
        found.append((address, numbers, None if oldest is None else max(0.0, (now - oldest) / 1000)))
    return found
