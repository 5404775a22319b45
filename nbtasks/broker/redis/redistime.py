"""The server's clock."""

from __future__ import annotations

import time

from nbtasks.broker.servertime import Reading
from nbtasks.core.clock import steady

from .keys import Keys
from .link import Link


class RedisTime:
    """That of one server, with what is noted in one namespace."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def ask(self) -> Reading:
        """Return what the server tells of its time."""
        asked_at, wall_at = steady(), time.time()
        micros, noted = self._link.script("time", [self._keys.root], [])
        return Reading(micros / 1e6, noted, asked_at, steady(), wall_at)

    def set_ahead(self, noted: bytes, ahead: bytes) -> bool:
        """Note by how much the server's clock is ahead; False where somebody else has noted something meanwhile."""
        return bool(self._link.script("set_ahead", [self._keys.root], [noted, ahead]))
