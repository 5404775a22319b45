"""Bring references to a carrier: of what was queued just now, and of what seems to have got lost there."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nbtasks.broker.verbs.brokerqueues import Queues
from nbtasks.broker.verbs.carrier import MOST_REFERENCES, Carrier
from nbtasks.broker.verbs.housekeeping import Housekeeping
from nbtasks.broker.verbs.references import References
from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES

#: Seconds from one look at what may be lost to the next; what two looks find is put again.
_SWEEP_S = 1.0


class Publisher:
    """Does it for those addresses that a worker serves: where nobody serves, nobody waits.

    Args:
        addresses: the list may grow.
        worker: every worker tells of what is queued, and one of them at a time looks for what is lost.
    """

    def __init__(
        self,
        references: References,
        queues: Queues,
        housekeeping: Housekeeping,
        carrier: Carrier,
        addresses: Sequence[Address],
        worker: str,
    ) -> None:
        self._references = references
        self._queues = queues
        self._housekeeping = housekeeping
        self._carrier = carrier
        self._addresses = addresses
        self._worker = worker
        self._swept_at = float("-inf")
        #: Address -> how many references too few there were when it was looked last.
        self._missing: dict[str, int] = {}

    def step(self, block_ms: int) -> None:
        """Wait up to so long until something is queued, and tell the carrier.

        Raises:
            BrokerUnavailable: of the ledger or the carrier. What was not told is found later.
        """
        new = self._references.queued(block_ms)
        if new:
            self._carrier.put(new)
        if time.monotonic() - self._swept_at > _SWEEP_S:
            self._swept_at = time.monotonic()
            self._sweep()

    def _sweep(self) -> None:
        missing: dict[str, int] = {}
        for address in list(self._addresses):
            if self._housekeeping.elected(f"carrying:{address}", self._worker, round(_SWEEP_S * 1500)):
                wanted = min(self._queues.waiting(address, LANES), MOST_REFERENCES)
                few = wanted - self._carrier.length(address) if wanted else 0
                if few > 0:
                    missing[address] = few
        # A reference that is on its way is missing in one look, hardly in two.
        lost = {address: min(few, self._missing.get(address, 0)) for address, few in missing.items()}
        self._missing = missing
        lost = {address: number for address, number in lost.items() if number}
        if lost:
            self._carrier.put(lost)
