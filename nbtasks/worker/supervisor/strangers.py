"""Calls in this worker's queues that wait for another kind of worker: another Python, another key."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.broker.verbs.brokerqueues import Queues
from nbtasks.core.address import Address
from nbtasks.core.errors import OperationalError
from nbtasks.core.lanenames import LANES
from nbtasks.worker.log import LOGGER

from .duty import Duty

#: Seconds between two looks.
_LOOK_S = 5.0


class Strangers:
    """Says which calls wait in our queues that this worker does not take: else it would idle without a word.

    Args:
        looked_at: how much lies in queues.
        queues: by their names.
        addresses: what this worker listens on.
    """

    def __init__(self, looked_at: Queues, queues: Sequence[str], addresses: Sequence[Address]) -> None:
        self._looked_at = looked_at
        self._queues = queues
        self._addresses = addresses
        #: What was seen at the last look; None before the first one.
        self._seen: set[Address] | None = None
        self._told: set[Address] = set()
        self._duty = Duty("strangers", self._look_and_rest)

    def start(self) -> None:
        """Look now, and then again and again; nothing where nobody would read it."""
        if LOGGER.isEnabledFor(20):
            self._duty.start()

    def stop(self) -> None:
        """Stop looking."""
        self._duty.stop()

    def _look_and_rest(self) -> float:
        try:
            waiting = {address for address in self._others() if self._looked_at.length(address, LANES)}
        except OperationalError:
            # A server that has gone meanwhile is waited for by others.
            return _LOOK_S
        # At the first look nothing is known of before; later, what comes and goes has workers of its own.
        lasting = waiting if self._seen is None else waiting & self._seen
        for address in sorted(lasting - self._told):
            self._tell(address)
        self._seen, self._told = waiting, self._told & waiting
        return _LOOK_S

    def _others(self) -> list[Address]:
        return [
            address
            for address in self._looked_at.addresses()
            if address not in self._addresses and address.queue in self._queues
        ]

    def _tell(self, address: Address) -> None:
        self._told.add(address)
        LOGGER.info(
            "queue %s has calls for %s, which this worker does not take", address.queue, address.lacking
        )
