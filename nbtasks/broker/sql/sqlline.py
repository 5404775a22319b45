"""One connection, and all that is done over it: each part is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.patience import once_loaded
from nbtasks.broker.servertime import ServerClock

from .sqlblobs import SqlBlobs
from .sqlbrokerfacts import look_at_database, why_no_writes
from .sqlconsumers import SqlConsumers
from .sqldelayedcalls import SqlDelayedCalls
from .sqldelivery import SqlDelivery
from .sqleventlog import SqlEventLog
from .sqlfleet import SqlFleet
from .sqlgauges import SqlGauges
from .sqlhousekeeping import SqlHousekeeping
from .sqlkeptcalls import SqlKeptCalls
from .sqllink import SqlLink
from .sqllocks import SqlLocks
from .sqlordering import SqlOrdering
from .sqlperiodicstore import SqlPeriodicStore
from .sqlpermits import SqlPermits
from .sqlqueues import SqlQueues
from .sqlreferences import SqlReferences
from .sqlsessionnews import SqlSessionNews
from .sqlstock import SqlStock
from .sqlstore import SqlStore
from .sqlsubmission import SqlSubmission
from .sqltime import SqlTime
from .sqluniquecalls import SqlUniqueCalls
from .sqlwithdrawal import SqlWithdrawal
from .sqlworkflowstore import SqlWorkflowStore

if TYPE_CHECKING:
    from nbtasks.core.address import Address
    from nbtasks.core.brokerfacts import BrokerFacts


class SqlLine(SqlLink):
    """A connection to one namespace.

    Attributes:
        is_prompt: an answer is waited for with a look at the clock, whatever lies between.
    """

    is_prompt = True

    # -- the server

    def check(self) -> BrokerFacts:
        """Return what the server is, and refuse one that would lose calls. One that still starts is waited for."""
        return once_loaded(self.look)

    def look(self) -> BrokerFacts:
        """Return what the server is, whatever it is."""
        return look_at_database(self)

    def write_problem(self) -> str | None:
        """Return why a server that answers takes nothing; None where it takes."""
        return why_no_writes(self)

    def entry_problem(self) -> str | None:
        """Return None: nobody else is asked before a connection is made."""
        return None

    # -- queue verbs

    def submission(self) -> SqlSubmission:
        """Return what takes batches and their calls."""
        return SqlSubmission(self)

    def delivery(
        self,
        addresses: Sequence[Address],
        consumer: str,
        on_copy: Callable[[Address, str, bytes], None] = lambda *_: None,
    ) -> SqlDelivery:
        """Return what delivers entries to one consumer."""
        return SqlDelivery(self, addresses, consumer, on_copy)

    def consumers(self, addresses: Sequence[Address]) -> SqlConsumers:
        """Return what knows who holds entries of some queues."""
        return SqlConsumers(self, addresses)

    def queues(self) -> SqlQueues:
        """Return what looks at queues, and queues what is due."""
        return SqlQueues(self)

    def delayed_calls(self) -> SqlDelayedCalls:
        """Return what lists calls that are due later."""
        return SqlDelayedCalls(self)

    def stock(self) -> SqlStock:
        """Return what looks for the calls of some batches."""
        return SqlStock(self)

    def withdrawal(
        self, address: str, batch: str, n: int, since: tuple[float, float | None]
    ) -> SqlWithdrawal:
        """Return what takes entries of one batch out of a queue whose calls have all ended."""
        return SqlWithdrawal(self, address, batch)

    def references(self, addresses: Sequence[Address]) -> SqlReferences:
        """Return what a carrier is to be told of."""
        return SqlReferences(self, addresses)

    # -- store verbs

    def store(self) -> SqlStore:
        """Return what keeps batches, their states and results."""
        return SqlStore(self)

    def blobs(self) -> SqlBlobs:
        """Return what keeps large values."""
        return SqlBlobs(self)

    def session_news(self) -> SqlSessionNews:
        """Return what tells a session of its batches."""
        return SqlSessionNews(self)

    def workflows(self) -> SqlWorkflowStore:
        """Return what is kept of workflows."""
        return SqlWorkflowStore(self)

    def kept_calls(self) -> SqlKeptCalls:
        """Return what finds results that were kept under names."""
        return SqlKeptCalls(self)

    def unique_calls(self) -> SqlUniqueCalls:
        """Return what knows which call a key stands for."""
        return SqlUniqueCalls(self)

    def permits(self) -> SqlPermits:
        """Return what keeps rate limits."""
        return SqlPermits(self)

    def locks(self) -> SqlLocks:
        """Return what keeps locks."""
        return SqlLocks(self)

    def periodic_store(self, key_id: str) -> SqlPeriodicStore:
        """Return the periodic tasks whose frames are signed with the key of this id."""
        return SqlPeriodicStore(self, key_id)

    def fleet(self) -> SqlFleet:
        """Return what knows the workers."""
        return SqlFleet(self)

    def ordering(self) -> SqlOrdering:
        """Return what brings orders to supervisors."""
        return SqlOrdering(self)

    def housekeeping(self) -> SqlHousekeeping:
        """Return what supervisors do for all, one of them at a time."""
        return SqlHousekeeping(self)

    def clock(self, same_machine: bool = False) -> ServerClock:
        """Return a clock that reckons the server's time."""
        return ServerClock(SqlTime(self), same_machine)

    def event_log(self) -> SqlEventLog:
        """Return a reader of what happens in the namespace."""
        return SqlEventLog(self)

    def gauges(self) -> SqlGauges:
        """Return what people read off the server."""
        return SqlGauges(self)
