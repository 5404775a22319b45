"""The leg of a carrier: that of its ledger, with the carrier before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.leg import BrokerPlace, Leg

from .carriedline import CarriedLine

if TYPE_CHECKING:
    from nbtasks.core.address import Address

    from .publisher import Publisher


class CarriedLeg:
    """The leg for one ledger, one carrier and one namespace."""

    def __init__(self, ledger: Leg, place: BrokerPlace) -> None:
        self._ledger = ledger
        self._place = place

    @property
    def lacks(self) -> Mapping[str, str]:
        """What the ledger lacks: a carrier has to do nothing that it could lack."""
        return self._ledger.lacks

    def line(self) -> BrokerLine:
        """Return a new connection; it is made when it is used."""
        return cast("BrokerLine", self._line())

    def publisher(self, addresses: Sequence[Address], worker: str) -> tuple[Publisher, BrokerLine]:
        """Return what brings to the carrier what is queued at some addresses, and the line that ends it."""
        line = self._line()
        return line.publisher(addresses, worker), cast("BrokerLine", line)

    def _line(self) -> CarriedLine:
        return CarriedLine(self._ledger.line(), self._place.carrier, self._place.namespace)
