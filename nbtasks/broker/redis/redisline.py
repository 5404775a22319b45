"""One connection, and all that is done over it.

What every session and every child asks for is imported with this module: an import that is under way in another thread
when a process is forked never ends in the new one. What few ask for is imported when they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.servertime import ServerClock

from . import servercheck
from .keys import Keys
from .lanes import Lanes
from .link import Link
from .redisblobs import RedisBlobs
from .redisconsumers import RedisConsumers
from .redisdelayedcalls import RedisDelayedCalls
from .redisdelivery import RedisDelivery
from .redisfleet import RedisFleet
from .redishousekeeping import RedisHousekeeping
from .rediskeptcalls import RedisKeptCalls
from .redislocks import RedisLocks
from .redisordering import RedisOrdering
from .redispermits import RedisPermits
from .redisqueues import RedisQueues
from .redissessionnews import RedisSessionNews
from .redisstock import RedisStock
from .redisstore import RedisStore
from .redissubmission import RedisSubmission
from .redistime import RedisTime
from .redisuniquecalls import RedisUniqueCalls
from .rediswithdrawal import RedisWithdrawal
from .redisworkflowstore import RedisWorkflowStore

if TYPE_CHECKING:
    from nbtasks.broker.verbs.blobs import Blobs
    from nbtasks.broker.verbs.brokerqueues import Queues
    from nbtasks.broker.verbs.consumers import Consumers
    from nbtasks.broker.verbs.delayedcalls import DelayedCalls
    from nbtasks.broker.verbs.delivery import Delivery
    from nbtasks.broker.verbs.eventlog import EventLog
    from nbtasks.broker.verbs.fleet import Fleet
    from nbtasks.broker.verbs.gauges import Gauges
    from nbtasks.broker.verbs.housekeeping import Housekeeping
    from nbtasks.broker.verbs.keptcalls import KeptCalls
    from nbtasks.broker.verbs.locks import Locks
    from nbtasks.broker.verbs.ordering import Ordering
    from nbtasks.broker.verbs.periodicstore import PeriodicStore
    from nbtasks.broker.verbs.permits import Permits
    from nbtasks.broker.verbs.references import References
    from nbtasks.broker.verbs.sessionnews import SessionNews
    from nbtasks.broker.verbs.stock import Stock
    from nbtasks.broker.verbs.store import Store
    from nbtasks.broker.verbs.submission import Submission
    from nbtasks.broker.verbs.uniquecalls import UniqueCalls
    from nbtasks.broker.verbs.withdrawal import Withdrawal
    from nbtasks.broker.verbs.workflowstore import WorkflowStore
    from nbtasks.core.address import Address
    from nbtasks.core.brokerfacts import BrokerFacts


class RedisLine(Link):
    """A connection to one namespace.

    Attributes:
        keys: of the namespace.
    """

    def __init__(self, url: str, label: str, keys: Keys) -> None:
        super().__init__(url, label)
        self.keys = keys

    # -- the server

    def check(self) -> BrokerFacts:
        """Return what the server is, and refuse one that would lose calls. One that loads its data is waited for."""
        return servercheck.check(self)

    def look(self) -> BrokerFacts:
        """Return what the server is, whatever it is."""
        return servercheck.look(self)

    def write_problem(self) -> str | None:
        """Return why a server that answers takes nothing; None where it takes."""
        return servercheck.write_problem(self)

    def entry_problem(self) -> str | None:
        """Return that no sentinel answers; None where one does, or there is none to be asked."""
        return self._connector.problem()

    # -- queue verbs

    def submission(self) -> Submission:
        """Return what takes batches and their calls."""
        return RedisSubmission(self, self.keys)

    def delivery(
        self,
        addresses: Sequence[Address],
        consumer: str,
        on_copy: Callable[[Address, str, bytes], None] = lambda *_: None,
    ) -> Delivery:
        """Return what delivers entries to one consumer."""
        return RedisDelivery(Lanes(self, self.keys, addresses), consumer, on_copy)

    def consumers(self, addresses: Sequence[Address]) -> Consumers:
        """Return what knows who holds entries of some queues."""
        return RedisConsumers(Lanes(self, self.keys, addresses))

    def queues(self) -> Queues:
        """Return what looks at queues, and queues what is due."""
        return RedisQueues(self, self.keys)

    def delayed_calls(self) -> DelayedCalls:
        """Return what lists calls that are due later."""
        return RedisDelayedCalls(self, self.keys)

    def stock(self) -> Stock:
        """Return what looks for the calls of some batches."""
        return RedisStock(self, self.keys)

    def references(self, addresses: Sequence[Address]) -> References:
        """Return what knows which entries a carrier has to be told of."""
        from .redisreferences import RedisReferences

        return RedisReferences(self, self.keys, addresses)

    def withdrawal(self, address: str, batch: str, n: int, since: tuple[float, float | None]) -> Withdrawal:
        """Return what takes entries of one batch out of a queue whose calls have all ended."""
        return RedisWithdrawal(self, self.keys, address, batch, n, since)

    # -- store verbs

    def store(self) -> Store:
        """Return what keeps batches, their states and results."""
        return RedisStore(self, self.keys)

    def blobs(self) -> Blobs:
        """Return what keeps large values."""
        return RedisBlobs(self, self.keys)

    def session_news(self) -> SessionNews:
        """Return what tells a session of its batches."""
        return RedisSessionNews(self, self.keys)

    def workflows(self) -> WorkflowStore:
        """Return what is kept of workflows."""
        return RedisWorkflowStore(self, self.keys)

    def kept_calls(self) -> KeptCalls:
        """Return what finds results that were kept under names."""
        return RedisKeptCalls(self, self.keys)

    def unique_calls(self) -> UniqueCalls:
        """Return what knows which call a key stands for."""
        return RedisUniqueCalls(self, self.keys)

    def permits(self) -> Permits:
        """Return what keeps rate limits."""
        return RedisPermits(self, self.keys)

    def locks(self) -> Locks:
        """Return what keeps locks."""
        return RedisLocks(self, self.keys)

    def periodic_store(self, key_id: str) -> PeriodicStore:
        """Return the periodic tasks whose frames are signed with the key of this id."""
        from .redisperiodicstore import RedisPeriodicStore

        return RedisPeriodicStore(self, self.keys, key_id)

    def fleet(self) -> Fleet:
        """Return what knows the workers."""
        return RedisFleet(self, self.keys)

    def ordering(self) -> Ordering:
        """Return what brings orders to supervisors."""
        return RedisOrdering(self, self.keys)

    def housekeeping(self) -> Housekeeping:
        """Return what supervisors do for all, one of them at a time."""
        return RedisHousekeeping(self, self.keys)

    def clock(self, same_machine: bool = False) -> ServerClock:
        """Return a clock that reckons the server's time."""
        return ServerClock(RedisTime(self, self.keys), same_machine)

    def event_log(self) -> EventLog:
        """Return a reader of what happens in the namespace."""
        from .rediseventlog import RedisEventLog

        return RedisEventLog(self, self.keys)

    def gauges(self) -> Gauges:
        """Return what people read off the server."""
        from .redisgauges import RedisGauges

        return RedisGauges(self, self.keys)
