"""A line: one connection to a broker, and all that can be done over it.

Who uses a line decides what waits behind what: while a part of it waits for something (calls, news, orders, a turn),
nothing else is to be done over the same line. So whoever waits has a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nbtasks.broker.servertime import ServerClock
    from nbtasks.core.address import Address
    from nbtasks.core.brokerfacts import BrokerFacts

    from .blobs import Blobs
    from .brokerqueues import Queues
    from .consumers import Consumers
    from .delayedcalls import DelayedCalls
    from .delivery import Delivery
    from .eventlog import EventLog
    from .fleet import Fleet
    from .gauges import Gauges
    from .housekeeping import Housekeeping
    from .keptcalls import KeptCalls
    from .locks import Locks
    from .ordering import Ordering
    from .periodicstore import PeriodicStore
    from .permits import Permits
    from .references import References
    from .sessionnews import SessionNews
    from .stock import Stock
    from .store import Store
    from .submission import Submission
    from .uniquecalls import UniqueCalls
    from .withdrawal import Withdrawal
    from .workflowstore import WorkflowStore


class Connected(Protocol):
    """What is true of a connection whatever is said over it.

    Attributes:
        label: the broker's URL without its secrets, for messages.
        block_s: seconds for which a part may be asked to wait at most. Over a network that is short: a connection that
            has fallen silent is noticed within that time and a moment.
        patience_s: seconds for which something is tried again after the connection was lost; 0 at first. To be set
            only where all that is done over the line may be done twice.
        connections: how many connections were made so far. Where it has grown, the server may be another one, or the
            same one with older data: whoever has relied on something looks again.
    """

    label: str
    block_s: float
    patience_s: float
    connections: int

    @property
    def connected(self) -> bool:
        """Whether there is a connection that was usable when it was used last. No round trip."""

    @property
    def is_prompt(self) -> bool:
        """Whether an answer that is asked for (news, orders) never keeps its reader for longer than it says."""

    def close(self) -> None:
        """Close the connection; what is done next opens a new one. Never raises."""

    def abort(self) -> None:
        """Cut the connection under what another thread does over it, which raises BrokerUnavailable. Never raises."""

    def disown(self) -> None:
        """Let go of the connection in a process that was forked off: the parent's goes on, and is told nothing."""

    def forsake(self) -> None:
        """The same, also where another thread was using it at the moment of the fork."""

    def check(self) -> BrokerFacts:
        """Return what the broker is; one that still loads its data is waited for. May make what a namespace needs.

        Raises:
            BrokerUnsuitable: it is too old, or could lose calls.
            BrokerUnavailable: it does not answer.
            ConfigError: it refuses the login, or does not allow what is needed.
        """

    def look(self) -> BrokerFacts:
        """Return what the broker is, whatever it is. Raises the same but BrokerUnsuitable for its settings."""

    def write_problem(self) -> str | None:
        """Return, in a sentence for users, why a broker that answers takes nothing; None where it takes."""

    def entry_problem(self) -> str | None:
        """Return, likewise, why nobody could connect anew, though who is connected goes on; None where they could.

        What it returns may be some seconds old.
        """


class QueueVerbs(Protocol):
    """What brings calls to workers. A carrier may serve these, where the store is another server."""

    def submission(self) -> Submission:
        """Return what takes batches and their calls."""

    def delivery(
        self,
        addresses: Sequence[Address],
        consumer: str,
        on_copy: Callable[[Address, str, bytes], None] = ...,
    ) -> Delivery:
        """Return what delivers entries to one consumer.

        Args:
            addresses: the queues that it takes from, all of a priority alike; kept, and looked at again when
                :meth:`Delivery.extend` is called.
            consumer: as which it takes them, from :func:`consumer_of`.
            on_copy: told (address, batch, frame) of an entry that was left out: it was worked off before, or nobody
                knows its batch, or it is none of ours. Called on the thread that takes.
        """

    def consumers(self, addresses: Sequence[Address]) -> Consumers:
        """Return what knows who holds entries of some queues."""

    def queues(self) -> Queues:
        """Return what looks at queues, and queues what is due."""

    def delayed_calls(self) -> DelayedCalls:
        """Return what lists calls that are due later."""

    def stock(self) -> Stock:
        """Return what looks for the calls of some batches."""

    def references(self, addresses: Sequence[Address]) -> References:
        """Return what knows which entries a carrier has to be told of.

        Args:
            addresses: the list may grow.
        """

    def withdrawal(self, address: str, batch: str, n: int, since: tuple[float, float | None]) -> Withdrawal:
        """Return what takes entries of one batch out of a queue whose calls have all ended.

        Args:
            n: number of calls of the batch.
            since: when it was submitted, and when it is due (None: at once), in epoch seconds of the server; 0 where
                that is not known. Only a hint where to look.
        """


class StoreVerbs(Protocol):
    """What is kept, and what is told of it."""

    def store(self) -> Store:
        """Return what keeps batches, their states and results."""

    def blobs(self) -> Blobs:
        """Return what keeps large values."""

    def session_news(self) -> SessionNews:
        """Return what tells a session of its batches. Who waits for news needs a line for that alone."""

    def workflows(self) -> WorkflowStore:
        """Return what is kept of workflows."""

    def kept_calls(self) -> KeptCalls:
        """Return what finds results that were kept under names."""

    def unique_calls(self) -> UniqueCalls:
        """Return what knows which call a key stands for."""

    def permits(self) -> Permits:
        """Return what keeps rate limits."""

    def locks(self) -> Locks:
        """Return what keeps locks. Who waits for a turn needs a line for that alone."""

    def periodic_store(self, key_id: str) -> PeriodicStore:
        """Return the periodic tasks whose frames are signed with the key of this id."""

    def fleet(self) -> Fleet:
        """Return what knows the workers."""

    def ordering(self) -> Ordering:
        """Return what brings orders to supervisors. Who waits for orders needs a line for that alone."""

    def housekeeping(self) -> Housekeeping:
        """Return what supervisors do for all, one of them at a time."""

    def clock(self, same_machine: bool = False) -> ServerClock:
        """Return a clock that reckons the server's time.

        Args:
            same_machine: the server has the clock of this machine.
        """

    def event_log(self) -> EventLog:
        """Return a reader of what happens in the namespace. It waits, so it needs a line for itself."""

    def gauges(self) -> Gauges:
        """Return what people read off the broker."""


class BrokerLine(Connected, QueueVerbs, StoreVerbs, Protocol):
    """One connection to a broker, made on demand; any thread may use it, one at a time.

    What is said of all parts of all lines, and only repeated where it matters:

    - Parts may be made any number of times, without a round trip. Those of one line share its connection.
    - Each verb is one step for everybody else, unless it says otherwise; where a process or the server dies in the
      middle of one, what was done before is such that the same verb, said again, completes it.
    - ``BrokerUnavailable`` means that nobody knows whether it was done. Whatever may be said again without harm says
      so; what may not is repaired by who said it.
    - All raise ``OperationalError`` or one of its kinds (``BrokerUnavailable``, ``BackPressure``, ``FlushGap``,
      ``FunctionMissing``, ``NewsUnreadable``), or ``ConfigError`` where the broker refuses the login or a command.
      Nothing of the library that talks to the server is ever raised.
    - What lies on the server may have been written by anybody who can log in there. What makes no sense is left out as
      if it were not there, and never raises; what is signed is not verified here, but by who asked.
    - Numbers of calls in a batch and of attempts are below 2**31. Batches, sessions and workflows are hexadecimal, 20
      digits at most; addresses, lanes and consumers as in core/address.py, core/lanenames.py and consumers.py.
    """
