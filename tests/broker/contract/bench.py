"""What tests of the contract have at hand: lines, parts, batches that are quickly submitted."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.consumers import consumer_of
from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.leg import Leg
from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE, SUCCESS_CODE

KEY_ID = "0a" * 4
ADDRESS = Address("default", "3.11", KEY_ID)
OTHER = Address("other", "3.11", KEY_ID)
#: Milliseconds for which results are kept.
TTL_MS = 60_000
SUCCESS, FAILURE, REVOKED = (bytes([code]) for code in (SUCCESS_CODE, FAILURE_CODE, REVOKED_CODE))
WORKERS = ("w1", "w2")


def name() -> str:
    """A batch, a session or a workflow that nobody knows."""
    return secrets.token_hex(10)


class Bench:
    """A client and two workers.

    Attributes:
        line: for what is short.
        session: of the client.
    """

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self._lines: list[BrokerLine] = []
        self.line = line = self.new_line()
        line.check()
        self.store, self.submission = line.store(), line.submission()
        self.queues, self.fleet = line.queues(), line.fleet()
        self.session, self._number = name(), 0
        #: (address, batch, frame) of what was left out when entries were taken.
        self.copies: list[tuple[Address, str, bytes]] = []
        self.addresses = [ADDRESS]
        self.worker, self.other = (self.delivery(consumer_of(one, 0)) for one in WORKERS)
        self.worker.prepare()

    def new_line(self) -> BrokerLine:
        """One that ends with the test."""
        self._lines.append(self.leg.line())
        return self._lines[-1]

    def delivery(self, consumer: str, addresses: Sequence[Address] | None = None) -> Delivery:
        """Over a line of its own, as a child has it."""
        return self.new_line().delivery(
            self.addresses if addresses is None else addresses, consumer, lambda *one: self.copies.append(one)
        )

    def close(self) -> None:
        """No connection is left."""
        for line in self._lines:
            line.close()

    # -- the client

    def submit(self, flush: Flush) -> None:
        """Apply a flush as the session's next."""
        self.submission.submit(self.session, self._number + 1, flush)
        self._number += 1

    def submitted(
        self,
        n: int = 4,
        size: int = 2,
        *,
        lane: str = "m",
        due_ms: int = 0,
        address: Address = ADDRESS,
        ttl_ms: int = TTL_MS,
        batch: str = "",
    ) -> str:
        """Submit a batch in chunks of some calls; returns its id."""
        flush, batch = Flush(), batch or name()
        flush.batch(batch, n, address, "fn", b"function", b"label of " + batch.encode(), ttl_ms)
        for first in range(0, n, size):
            flush.chunk(batch, address, lane, due_ms, first, min(size, n - first), chunk(batch, first))
        self.submit(flush)
        return batch

    def revoke(self, batch: str, indexes: Iterable[int]) -> None:
        """Have calls end as revoked, as a client does it."""
        assert self.submission.revoke(batch, b"order")
        report = Finish()
        for index in indexes:
            report.results(batch, index, REVOKED, b"revoked %d" % index)
        self.store.finish(report)

    # -- workers

    def end(self, delivery: Delivery, entry: Entry, state: bytes = SUCCESS) -> int:
        """Report that all calls of an entry have ended; returns how many results were new."""
        report = Finish()
        report.results(entry.batch, entry.first, state * entry.count, record(entry.first, entry.count))
        report.done(entry)
        return delivery.finish(report)

    def take_all(self, delivery: Delivery, most: int = 10) -> list[Entry]:
        """Take what there is, lane after lane."""
        found: list[Entry] = []
        while entries := delivery.take(most):
            found += entries
        return found

    def work_off(self) -> list[tuple[str, int]]:
        """Run all that is in hand or queued; returns (batch, index) in the order in which they ran."""
        ran: list[tuple[str, int]] = []
        for delivery in (self.worker, self.other):
            while entries := [*delivery.in_hand(), *delivery.take(10)]:
                for entry in entries:
                    states = self.store.states(entry.batch, entry.first, entry.count)
                    ran += [(entry.batch, entry.first + k) for k in range(entry.count) if not states[k]]
                    self.end(delivery, entry)
        return ran

    # -- what there is

    def left(self, address: Address = ADDRESS) -> int:
        """How many entries wait or are in hand."""
        return self.queues.length(address, LANES)

    def now(self) -> float:
        """The server's time."""
        return self.line.clock().now()

    def forget_expired(self) -> None:
        """What a supervisor does once an hour, for legs on which nothing goes by itself."""
        self.line.housekeeping().sweep_batches(self.now() * 1000 + 1)


def chunk(batch: str, first: int) -> bytes:
    """The frame of a chunk, long enough for what it claims to be."""
    return b"the chunk of %s from %d on" % (batch.encode(), first)


def record(first: int, count: int) -> bytes:
    """The frame of a record."""
    return b"record %d+%d" % (first, count)


def calls(entries: Iterable[Entry]) -> list[tuple[int, int]]:
    """(first, count) of each."""
    return [(one.first, one.count) for one in entries]


class Beside:
    """Something that waits on a thread of its own; its value, or what it has raised."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(action)
        self._pool.shutdown(wait=False)

    @property
    def is_over(self) -> bool:
        """Whether it waits no more."""
        return self._future.done()

    def value(self) -> Any:
        """Wait for it."""
        return self._future.result(60)
