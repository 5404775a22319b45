"""A Redis or Valkey as the ledger of a carrier: all is as in that leg, but for where workers wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nbtasks.broker.redis.keys import Keys
from nbtasks.broker.redis.redisleg import RedisLeg
from nbtasks.broker.redis.redisline import RedisLine
from nbtasks.broker.redis.redisreferences import RedisReferences
from nbtasks.broker.verbs.carrier import Carrier
from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.core.address import Address
from nbtasks.core.brokerfacts import BrokerFacts

from .carriage import open_carrier
from .carrieddelivery import CarriedDelivery
from .publisher import Publisher


class CarriedRedisLine(RedisLine):
    """A connection to the ledger, and one to the carrier where it delivers entries."""

    def __init__(self, url: str, label: str, keys: Keys, carrier: str) -> None:
        super().__init__(url, label, keys)
        self._carrier_url = carrier
        #: One for the line, as there is one connection to the ledger; None before it is needed.
        self._carrier: Carrier | None = None

    def _carried(self) -> Carrier:
        if self._carrier is None:
            self._carrier = open_carrier(self._carrier_url, self.keys.namespace)
        return self._carrier

    def check(self) -> BrokerFacts:
        """Return what the ledger's server is; the carrier must be there, too."""
        facts = super().check()
        carrier = open_carrier(self._carrier_url, self.keys.namespace)
        try:
            carrier.check()
        finally:
            carrier.close()
        return facts

    def delivery(
        self,
        addresses: Sequence[Address],
        consumer: str,
        on_copy: Callable[[Address, str, bytes], None] = lambda *_: None,
    ) -> Delivery:
        """Return what delivers entries to one consumer; it connects to the carrier when it waits first."""
        return CarriedDelivery(super().delivery(addresses, consumer, on_copy), self._carried(), addresses)

    def publisher(self, addresses: Sequence[Address], worker: str) -> Publisher:
        """Return what brings to the carrier what is queued at some addresses."""
        references = RedisReferences(self, self.keys, addresses)
        return Publisher(references, self.queues(), self.housekeeping(), self._carried(), addresses, worker)

    # -- both connections

    def close(self) -> None:
        """Close the connections."""
        super().close()
        if self._carrier is not None:
            self._carrier.close()

    def abort(self) -> None:
        """Cut the connections under what another thread does over them."""
        super().abort()
        if self._carrier is not None:
            self._carrier.abort()

    def disown(self) -> None:
        """Let go of the connections in a process that was forked off."""
        super().disown()
        if self._carrier is not None:
            self._carrier.forsake()

    def forsake(self) -> None:
        """The same, also where another thread was using them at the moment of the fork."""
        super().forsake()
        if self._carrier is not None:
            self._carrier.forsake()


class CarriedRedisLeg(RedisLeg):
    """The leg for one ledger, one carrier and one namespace."""

    def line(self) -> CarriedRedisLine:
        """Return a new connection; it is made when it is used."""
        return CarriedRedisLine(self._place.url, self._place.address, self._keys, self._place.carrier)
