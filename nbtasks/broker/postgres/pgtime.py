"""The server's clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.servertime import Reading
from nbtasks.core.clock import steady

if TYPE_CHECKING:
    from .pglink import PgLink


class PgTime:
    """That of one server, with what is noted in one namespace."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def ask(self) -> Reading:
        """Return what the server tells of its time."""
        asked_at, wall_at = steady(), time.time()
        micros, ahead = self._line.rows("server_time")[0]
        return Reading(micros / 1e6, ahead.encode(), asked_at, steady(), wall_at)

    def set_ahead(self, noted: bytes, ahead: bytes) -> bool:
        """Note by how much the server's clock is ahead; False where somebody else has noted something meanwhile."""
        return bool(self._line.one("set_ahead", noted.decode(), ahead.decode()))
