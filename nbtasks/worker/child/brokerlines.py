"""A child's connections to the broker, and how it waits for one that does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.locks import Turn
from nbtasks.broker.verbs.permits import Grant
from nbtasks.broker.verbs.workflowstore import WorkflowStore
from nbtasks.core.address import Address
from nbtasks.core.backoff import Backoff
from nbtasks.core.clock import steady
from nbtasks.core.errors import BackPressure, OperationalError
from nbtasks.core.lock import Lock
from nbtasks.local.connection import Connection
from nbtasks.worker.executing.interrupts import Interrupts, Stopping
from nbtasks.worker.log import LOGGER, log_trouble
from nbtasks.worker.slots import ALONE, FINE, NO_ROOM, Slot

T = TypeVar("T")

_BETWEEN_TRIES = Backoff(0.05, 1.0, jitter=True)
_CLOCK_POLL_S = 0.01
#: By how many seconds its worker's lease grows meanwhile before a process says that it alone has no connection.
_RENEWED_S = 5.0


class Answering:
    """A store of workflows that is asked until it answers: no call fails because it was away for a moment."""

    def __init__(self, store: WorkflowStore, retrying: Callable[[Callable[[], Any]], Any]) -> None:
        self._store = store
        self._retrying = retrying

    def states_of_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Do as the store."""
        found: list[bytes] = self._retrying(lambda: self._store.states_of_parts(parts))
        return found

    def records_of(self, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
        """Do as the store."""
        found: list[tuple[int, int, bytes]] = self._retrying(
            lambda: self._store.records_of(batch, first, count)
        )
        return found

    def record_at(self, batch: str, first: int, count: int) -> bytes | None:
        """Do as the store."""
        found: bytes | None = self._retrying(lambda: self._store.record_at(batch, first, count))
        return found

    def are_known(self, batches: Sequence[str]) -> list[bool]:
        """Do as the store."""
        found: list[bool] = self._retrying(lambda: self._store.are_known(batches))
        return found


class BrokerLines:
    """Two connections: one takes calls, and waits for them; the other one is free for all the rest.

    Args:
        consumer: under which name calls are taken.
        left_out: hears of entries that are not for this worker.
    """

    def __init__(
        self,
        connection: Connection,
        addresses: tuple[Address, ...],
        consumer: str,
        slot: Slot,
        interrupts: Interrupts,
        left_out: Callable[[Address, str, bytes], None],
    ) -> None:
        leg = open_leg(connection)
        self.waiting = leg.line()
        self.free = free = leg.line()
        self.taking = self.waiting.delivery(addresses, consumer, left_out)
        self.giving = free.delivery(addresses, consumer)
        self.store, self.blobs = free.store(), free.blobs()
        #: How those calls have ended that others wait for, as soon as the broker answers.
        self.ends = Answering(free.workflows(), self.retrying)
        self._permits = free.permits()
        self._call_locks, self.locks = self.giving.call_locks(), free.locks()
        self._slot = slot
        self._interrupts = interrupts

    def forsake(self) -> None:
        """In a forked copy: let go of the connections. Else they would stay open as long as it lives."""
        self.waiting.forsake()
        self.free.forsake()

    def standing(self, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
        """Return how calls stand, as :meth:`Store.standing` does, as soon as the broker answers."""
        return self.retrying(lambda: self.store.standing(batch, first, count))

    def function(self, digest: str) -> bytes | None:
        """Return a function's record as soon as the broker answers: no call fails because it was away for a moment."""
        return self.retrying(lambda: self.store.function(digest))

    def blob(self, key: str, target: memoryview) -> int | None:
        """Read a piece of a large value, as :meth:`Blobs.read` does, as soon as the broker answers."""
        return self.retrying(lambda: self.blobs.read(key, target))

    def permits(self, limit: str, every_s: float, most: int, in_hand: int, address: str) -> Grant:
        """Take permits, as :meth:`Permits.take` does, as soon as the broker answers."""
        return self.retrying(lambda: self._permits.take(limit, every_s, most, in_hand, address))

    def take_locks(self, entry: Entry, index: int, lane: str, title: str, locks: Sequence[Lock]) -> Turn:
        """Take the locks of a call, as :meth:`CallLocks.take` does, as soon as the broker answers."""
        return self.retrying(lambda: self._call_locks.take(entry, index, lane, title, locks))

    def give_locks_back(self, locks: Sequence[Lock], name: str) -> None:
        """Give locks back that somebody holds under a name, as soon as the broker answers."""
        self.retrying(lambda: self.locks.release(locks, name, self.giving.consumer))

    def server_now(self) -> float:
        """Return the server's time, as the supervisor reckons it."""
        while not (offset := self._slot.clock_offset()):
            if self._interrupts.stopping:
                raise Stopping
            time.sleep(_CLOCK_POLL_S)
        return steady() + offset

    def retrying(self, action: Callable[[], T]) -> T:
        """Do something with the broker, again and again until it answers."""
        tries, lease = 0, float("inf")
        while True:
            try:
                found = action()
            except OperationalError as error:
                if self._interrupts.stopping:
                    raise Stopping from error
                tries += 1
                if isinstance(error, BackPressure):
                    self._slot.set_trouble(NO_ROOM)
                if tries == 1:
                    lease = self._slot.lease()[0]
                elif self._slot.lease()[0] > lease + _RENEWED_S:
                    # Whoever renews the lease reaches the broker, and says nothing.
                    lease = float("inf")
                    self._slot.set_trouble(ALONE)
                    LOGGER.warning("this process does not reach the broker, and its worker does: %s", error)
                delay = _BETWEEN_TRIES.after(tries)
                log_trouble(f"trying again in {delay:.1f} s", error)
                time.sleep(delay)
            else:
                if tries:
                    self._slot.set_trouble(FINE)
                return found
