"""What people read off the server. Nothing of it is signed; it is only shown."""

from __future__ import annotations

import contextlib
import time
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
        #: Transactions at the last look, and when that was (monotonic).
        self._last: tuple[int, float] | None = None

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
        uptime_s, clients, asleep, commands, keys, is_durable, role = self._line.rows("server_gauges")[0]
        return ServerGauges(
            role=role,
            uptime_s=uptime_s,
            clients=clients,
            blocked_clients=asleep,
            commands_per_s=self._per_s(commands),
            commands=commands,
            keys=keys,
            persistence={"aof": True, "aof_ok": True, "aof_late": not is_durable, "loading": False},
        )

    def _per_s(self, commands: int | None) -> int | None:
        """Return transactions a second since the last look; None at the first one."""
        if commands is None:
            return None
        now, last = time.monotonic(), self._last
        self._last = commands, now
        if last is None or now - last[1] < 0.001:
            return None
        # The server's figures begin anew where somebody resets them.
        return round(max(0, commands - last[0]) / (now - last[1]))
