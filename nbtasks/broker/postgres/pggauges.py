"""What people read off the server. Nothing of it is signed; it is only shown."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nbtasks.core.address import Address
from nbtasks.core.queuedepth import QueueDepth
from nbtasks.core.servergauges import ServerGauges

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_QUEUES = 300
_MOST_LOCKS = 200


class PgGauges:
    """Reads them."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def queues(self) -> list[QueueDepth]:
        """Return all queues that have had a call or a worker, by their names."""
        found = []
        for text, waiting, running, delayed, oldest_ms in self._line.rows("depths", _MOST_QUEUES):
            with contextlib.suppress(ValueError):
                oldest_s = None if oldest_ms is None else max(0.0, oldest_ms / 1000)
                found.append(QueueDepth(Address.parse(text), waiting, running, delayed, oldest_s))
        return found

    def lock_ids(self) -> list[str]:
        """Return the ids of locks that somebody holds or waits for."""
        return [lock for (lock,) in self._line.rows("lock_ids", _MOST_LOCKS)]

    def server(self) -> ServerGauges:
        """Return what the server says of itself."""
        uptime_s, clients, role = self._line.rows("server_gauges")[0]
        return ServerGauges(role=role, uptime_s=uptime_s, clients=clients)
