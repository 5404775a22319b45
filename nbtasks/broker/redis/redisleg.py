"""Redis and Valkey: queue and store in one, each verb one script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .keys import Keys
from .redisline import RedisLine

if TYPE_CHECKING:
    from nbtasks.broker.verbs.leg import BrokerPlace


class RedisLeg:
    """The leg for one server and one namespace."""

    #: It does all.
    lacks: Mapping[str, str] = {}

    def __init__(self, place: BrokerPlace) -> None:
        self._place = place
        self._keys = Keys(place.namespace)

    def line(self) -> RedisLine:
        """Return a new connection; it is made when it is used."""
        return RedisLine(self._place.url, self._place.address, self._keys)
