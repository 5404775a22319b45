"""Bring references to a carrier: of what was queued just now, and of what seems to have got lost there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from nbtasks.broker.verbs.brokerqueues import Queues
from nbtasks.broker.verbs.carrier import MOST_REFERENCES, Carrier
from nbtasks.broker.verbs.housekeeping import Housekeeping
from nbtasks.broker.verbs.references import References
from nbtasks.core.address import Address
from nbtasks.core.backoff import Backoff
from nbtasks.core.lanenames import LANES

#: Seconds from one look at what may be lost to the next; what two looks find is put again.
_SWEEP_S = 1.0
#: Where a carrier counts late: seconds for which nothing is put again after that was done so often, and references that
#: are put then. Who is woken by one looks for more by itself.
_PAUSES = Backoff(2.0, 60.0)
_FEW = 10


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
        #: Address -> references that were there when they were counted last, with those that were put since.
        self._there: dict[str, int] = {}
        #: Address -> how often references were put again, and until when none are, where the carrier counts late.
        self._again: dict[str, tuple[int, float]] = {}

    def step(self, block_ms: int) -> None:
        """Wait up to so long until something is queued, and tell the carrier.

        Raises:
            BrokerUnavailable: of the ledger or the carrier. What was not told is found later.
        """
        new = self._references.queued(block_ms)
        if new:
            self._put(new)
        if time.monotonic() - self._swept_at > _SWEEP_S:
            self._swept_at = time.monotonic()
            self._sweep()

    def _put(self, numbers: Mapping[str, int]) -> None:
        """Put references, but not more than anybody needs."""
        room: dict[str, int] = {}
        for address, number in numbers.items():
            there = self._there.get(address, 0)
            if there + number > MOST_REFERENCES:
                there = self._carrier.length(address)
            room[address] = max(0, min(number, MOST_REFERENCES - there))
            self._there[address] = there + room[address]
        wanted = {address: number for address, number in room.items() if number}
        if wanted:
            self._carrier.put(wanted)

    def _sweep(self) -> None:
        missing: dict[str, int] = {}
        for address in list(self._addresses):
            if self._housekeeping.elected(f"carrying:{address}", self._worker, round(_SWEEP_S * 1500)):
                few = self._few(address)
                if few > 0:
                    missing[address] = few
        # A reference that is on its way is missing in one look, hardly in two.
        lost = {address: min(few, self._missing.get(address, 0)) for address, few in missing.items()}
        self._missing = missing
        if not self._carrier.is_exact:
            lost = {address: self._now_and_then(address, number) for address, number in lost.items()}
        lost = {address: number for address, number in lost.items() if number}
        if lost:
            self._carrier.put(lost)

    def _few(self, address: str) -> int:
        """Return how many references too few there are."""
        wanted = min(self._queues.waiting(address, LANES), MOST_REFERENCES)
        if not wanted:
            self._again.pop(address, None)
            return 0
        self._there[address] = there = self._carrier.length(address)
        return wanted - there

    def _now_and_then(self, address: str, lost: int) -> int:
        """Return how many of those that seem to be lost are put again now."""
        times, until = self._again.get(address, (0, 0.0))
        if not lost or time.monotonic() < until:
            return 0
        self._again[address] = times + 1, time.monotonic() + _PAUSES.after(times + 1)
        return min(lost, _FEW)
