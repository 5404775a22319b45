"""Entries of a ledger for one consumer, which waits for them at a carrier."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.verbs.carrier import Carrier
from nbtasks.broker.verbs.delivery import Aside, Delivery
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.locks import CallLocks
from nbtasks.core.address import Address
from nbtasks.core.errors import ConfigError

#: Milliseconds of a wait at the ledger itself, while the carrier is away.
_BESIDE_MS = 1000
#: The same of who has just worked: what comes next often comes soon, and the way over the carrier is longer.
_LINGER_MS = 20
#: Seconds of a wait at the carrier until it is looked in the ledger whether it has kept something to itself.
_LOOK_S = 2.5


class CarriedDelivery:
    """A ledger's delivery, but for :meth:`wait`.

    Who is brought a reference takes what is first in the ledger, as its own under the worker's lease, and is rid of the
    reference at once: so no time limit of the carrier's counts, and neither does it matter whether the reference comes
    twice. While the carrier is away, the ledger is waited at instead; and for a moment by who has just worked. A
    carrier that is there may bring nothing all the same: it is full, a network is silent, it has lost who listens. So
    whoever waits in vain looks in the ledger, too.

    Args:
        ledger: where entries lie, are taken and end.
        addresses: as the ledger's delivery has them; the list may grow.
    """

    def __init__(self, ledger: Delivery, carrier: Carrier, addresses: Sequence[Address]) -> None:
        self._ledger = ledger
        self._carrier = carrier
        self._addresses = addresses
        self.consumer = ledger.consumer
        #: It has been given something since it waited in vain.
        self._works = False

    @property
    def connections(self) -> int:
        """As the ledger's: a carrier holds nothing that could be lost."""
        return self._ledger.connections

    def wait(
        self, block_ms: int, report: Finish | None = None, told: Callable[[], None] = lambda: None
    ) -> list[Entry]:
        """Wait for a reference, and take an entry."""
        deadline = time.monotonic() + block_ms / 1000
        if report is not None or self._works:
            entries = self._ledger.wait(min(block_ms, _LINGER_MS), report, told)
            self._works = bool(entries)
            if entries:
                return entries
        entries = self._carried(block_ms, deadline)
        self._works = bool(entries)
        return entries

    def _carried(self, block_ms: int, deadline: float) -> list[Entry]:
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                address = self._carrier.take(self._addresses, min(left_s, _LOOK_S))
            except (CarrierAway, ConfigError):
                # Its supervisor, which connects to it as well, says so.
                return self._ledger.wait(min(block_ms, _BESIDE_MS))
            entries = self._ledger.take(1)
            if address is None:
                if entries:
                    # It has not told of this: perhaps it hears this one no more.
                    self._carrier.drop()
                    return entries
                continue
            self._settle(address, entries)
            if entries:
                return entries
        return []

    def _settle(self, address: str, entries: Sequence[Entry]) -> None:
        # What was taken may be of another queue, for its priority is higher: then the reference is still needed,
        # perhaps by who does not serve that one.
        back = any(entry.address != address for entry in entries)
        try:
            self._carrier.settle(bool(entries), back)
        except (CarrierAway, ConfigError):
            # It goes to somebody else.
            return

    # -- as the ledger does it

    def extend(self) -> None:
        """Take from the addresses that there are now."""
        self._ledger.extend()

    def on_behalf_of(self, consumer: str, of_dead: str | None = None) -> Delivery:
        """Return the ledger's queues seen as another consumer."""
        return self._ledger.on_behalf_of(consumer, of_dead)

    def call_locks(self) -> CallLocks:
        """Return what takes locks for calls in this consumer's hands."""
        return self._ledger.call_locks()

    def prepare(self, now: float | None = None) -> None:
        """See that entries can be taken from these queues."""
        self._ledger.prepare(now)

    def take(self, most: int) -> list[Entry]:
        """Take up to ``most`` entries without waiting; references to them are found to be old when they come."""
        entries = self._ledger.take(most)
        self._works = self._works or bool(entries)
        return entries

    def living(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those entries that have calls to run."""
        return self._ledger.living(entries)

    def may_have_begun(self, entry: Entry) -> bool:
        """Whether calls of an entry may have been taken before, and the server has lost by whom."""
        return self._ledger.may_have_begun(entry)

    def in_hand(self) -> list[Entry]:
        """Return every entry that this consumer holds."""
        return self._ledger.in_hand()

    def forget(self) -> None:
        """Nothing is kept of this consumer any more."""
        self._ledger.forget()

    def finish(self, report: Finish) -> int:
        """Apply a report."""
        return self._ledger.finish(report)

    def give(
        self,
        entry: Entry,
        pieces: Iterable[tuple[int, int, int]],
        kept: tuple[int, int] | None = None,
        end: int | None = None,
        aside: Aside | None = None,
    ) -> bool:
        """Give pieces of an entry to whoever takes them."""
        return self._ledger.give(entry, pieces, kept, end, aside)
