"""One connection, and all that is done over it: each part is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.servertime import ServerClock

from .pgblobs import PgBlobs
from .pgbrokerfacts import check_pg, look_at_pg, why_it_takes_nothing
from .pgconsumers import PgConsumers
from .pgdelayedcalls import PgDelayedCalls
from .pgdelivery import PgDelivery
from .pgeventlog import PgEventLog
from .pgfleet import PgFleet
from .pggauges import PgGauges
from .pghousekeeping import PgHousekeeping
from .pgkeptcalls import PgKeptCalls
from .pglink import PgLink
from .pglocks import PgLocks
from .pgordering import PgOrdering
from .pgperiodicstore import PgPeriodicStore
from .pgpermits import PgPermits
from .pgqueues import PgQueues
from .pgreferences import PgReferences
from .pgsessionnews import PgSessionNews
from .pgstock import PgStock
from .pgstore import PgStore
from .pgsubmission import PgSubmission
from .pgtime import PgTime
from .pguniquecalls import PgUniqueCalls
from .pgwithdrawal import PgWithdrawal
from .pgworkflowstore import PgWorkflowStore

if TYPE_CHECKING:
    from nbtasks.core.address import Address
    from nbtasks.core.brokerfacts import BrokerFacts


class PgLine(PgLink):
    """A connection to one namespace.

    Attributes:
        is_prompt: an answer is waited for with a look at the clock, whatever lies between.
    """

    is_prompt = True

    # -- the server

    def check(self) -> BrokerFacts:
        """Return what the server is, and refuse one that would lose calls. One that still starts is waited for."""
        return check_pg(self)

    def look(self) -> BrokerFacts:
        """Return what the server is, whatever it is."""
        return look_at_pg(self)

    def write_problem(self) -> str | None:
        """Return why a server that answers takes nothing; None where it takes."""
        return why_it_takes_nothing(self)

    def entry_problem(self) -> str | None:
        """Return None: nobody else is asked before a connection is made."""
        return None

    # -- queue verbs

    def submission(self) -> PgSubmission:
        """Return what takes batches and their calls."""
        return PgSubmission(self)

    def delivery(
        self,
        addresses: Sequence[Address],
        consumer: str,
        on_copy: Callable[[Address, str, bytes], None] = lambda *_: None,
    ) -> PgDelivery:
        """Return what delivers entries to one consumer."""
        return PgDelivery(self, addresses, consumer, on_copy)

    def consumers(self, addresses: Sequence[Address]) -> PgConsumers:
        """Return what knows who holds entries of some queues."""
        return PgConsumers(self, addresses)

    def queues(self) -> PgQueues:
        """Return what looks at queues, and queues what is due."""
        return PgQueues(self)

    def delayed_calls(self) -> PgDelayedCalls:
        """Return what lists calls that are due later."""
        return PgDelayedCalls(self)

    def stock(self) -> PgStock:
        """Return what looks for the calls of some batches."""
        return PgStock(self)

    def references(self, addresses: Sequence[Address]) -> PgReferences:
        """Return what knows which entries a carrier has to be told of."""
        return PgReferences(self, addresses)

    def withdrawal(self, address: str, batch: str, n: int, since: tuple[float, float | None]) -> PgWithdrawal:
        """Return what takes entries of one batch out of a queue whose calls have all ended."""
        return PgWithdrawal(self, address, batch)

    # -- store verbs

    def store(self) -> PgStore:
        """Return what keeps batches, their states and results."""
        return PgStore(self)

    def blobs(self) -> PgBlobs:
        """Return what keeps large values."""
        return PgBlobs(self)

    def session_news(self) -> PgSessionNews:
        """Return what tells a session of its batches."""
        return PgSessionNews(self)

    def workflows(self) -> PgWorkflowStore:
        """Return what is kept of workflows."""
        return PgWorkflowStore(self)

    def kept_calls(self) -> PgKeptCalls:
        """Return what finds results that were kept under names."""
        return PgKeptCalls(self)

    def unique_calls(self) -> PgUniqueCalls:
        """Return what knows which call a key stands for."""
        return PgUniqueCalls(self)

    def permits(self) -> PgPermits:
        """Return what keeps rate limits."""
        return PgPermits(self)

    def locks(self) -> PgLocks:
        """Return what keeps locks."""
        return PgLocks(self)

    def periodic_store(self, key_id: str) -> PgPeriodicStore:
        """Return the periodic tasks whose frames are signed with the key of this id."""
        return PgPeriodicStore(self, key_id)

    def fleet(self) -> PgFleet:
        """Return what knows the workers."""
        return PgFleet(self)

    def ordering(self) -> PgOrdering:
        """Return what brings orders to supervisors."""
        return PgOrdering(self)

    def housekeeping(self) -> PgHousekeeping:
        """Return what supervisors do for all, one of them at a time."""
        return PgHousekeeping(self)

    def clock(self, same_machine: bool = False) -> ServerClock:
        """Return a clock that reckons the server's time."""
        return ServerClock(PgTime(self), same_machine)

    def event_log(self) -> PgEventLog:
        """Return a reader of what happens in the namespace."""
        return PgEventLog(self)

    def gauges(self) -> PgGauges:
        """Return what people read off the server."""
        return PgGauges(self)
