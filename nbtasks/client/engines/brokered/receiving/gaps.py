"""Notices that the broker has lost what it had confirmed, and has that put right."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.submission import Submission
from nbtasks.client.batches.registry import Registry
from nbtasks.client.engines.brokered.sending.outbox import Item, Outbox

from .stocktaking import Stocktaking


class Gaps:
    """Asks whether all flushes of a session are with the broker.

    Args:
        orders: asks which one was the last.
        reading: the connection over which events are waited for.
    """

    def __init__(
        self,
        orders: Submission,
        outbox: Outbox,
        registry: Registry,
        stocktaking: Stocktaking,
        reading: BrokerLine,
    ) -> None:
        self._orders = orders
        self._outbox = outbox
        self._registry = registry
        self._stocktaking = stocktaking
        self._reading = reading

    def look(self) -> bool:
        """Ask whether the broker has lost flushes; then everything that has not ended is sent again."""
        waits = bool(self._registry.all_unfinished())
        lost = waits and self._orders.last_flush(self._outbox.session) < self._outbox.number
        if lost:
            self._outbox.probe()
        elif waits:
            self._stocktaking.soon()
        return lost

    def broker_lost(self, unsent: Sequence[Item]) -> None:
        """The outbox has begun a new session, for the broker has lost flushes; ``unsent`` it surely never had."""
        self._stocktaking.broker_lost(unsent)
        # What is waited for now will never come: the events of the new session are read from now on.
        self._reading.abort()
