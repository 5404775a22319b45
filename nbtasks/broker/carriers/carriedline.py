"""A connection to a ledger and one to the carrier before it: all is as in the ledger, but for where workers wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.carrier import Carrier
from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.core.address import Address
from nbtasks.core.brokerfacts import BrokerFacts
from nbtasks.core.unsendable import refuse_to_travel

from .carriage import open_carrier
from .carrieddelivery import CarriedDelivery
from .publisher import Publisher


class CarriedLine:
    """The ledger's line, whichever ledger that is; what is not said here is the ledger's own.

    Args:
        carrier: URL of the carrier.
    """

    __stays_here__ = "it knows its servers' passwords"
    __reduce_ex__ = refuse_to_travel

    def __init__(self, ledger: BrokerLine, carrier: str, namespace: str) -> None:
        self._ledger = ledger
        self._carrier_url = carrier
        self._namespace = namespace
        #: One for the line, as there is one connection to the ledger; None before it is needed.
        self._carrier: Carrier | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    @property
    def patience_s(self) -> float:
        """As the ledger's: a carrier is tried again by itself."""
        return self._ledger.patience_s

    @patience_s.setter
    def patience_s(self, seconds: float) -> None:
        self._ledger.patience_s = seconds

    def _carried(self) -> Carrier:
        if self._carrier is None:
            self._carrier = open_carrier(self._carrier_url, self._namespace)
        return self._carrier

    def check(self) -> BrokerFacts:
        """Return what the ledger's server is; the carrier must be there, too."""
        facts = self._ledger.check()
        carrier = open_carrier(self._carrier_url, self._namespace)
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
        ledger = self._ledger.delivery(addresses, consumer, on_copy)
        return CarriedDelivery(ledger, self._carried(), addresses)

    def publisher(self, addresses: Sequence[Address], worker: str) -> Publisher:
        """Return what brings to the carrier what is queued at some addresses."""
        ledger = self._ledger
        references = ledger.references(addresses)
        return Publisher(
            references, ledger.queues(), ledger.housekeeping(), self._carried(), addresses, worker
        )

    # -- both connections

    def close(self) -> None:
        """Close the connections."""
        self._ledger.close()
        if self._carrier is not None:
            self._carrier.close()

    def abort(self) -> None:
        """Cut the connections under what another thread does over them."""
        self._ledger.abort()
        if self._carrier is not None:
            self._carrier.abort()

    def disown(self) -> None:
        """Let go of the connections in a process that was forked off."""
        self._ledger.disown()
        if self._carrier is not None:
            self._carrier.forsake()

    def forsake(self) -> None:
        """The same, also where another thread was using them at the moment of the fork."""
        self._ledger.forsake()
        if self._carrier is not None:
            self._carrier.forsake()
