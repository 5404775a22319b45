"""Revokes calls: those that have not been started do not start, and running ones stop where that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.errors import UnknownCall
from nbtasks.core.orders import StopCalls
from nbtasks.core.ranges import runs
from nbtasks.core.stopsignal import number_of
from nbtasks.wire.record import Record

if TYPE_CHECKING:
    from nbtasks.broker.redis.submission import Submission
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.registry import Registry
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.wire.workflowrecord import WorkflowRecord

    from .commanding import OrderBook
    from .receiving.intake import Intake
    from .roster import WorkerRoster
    from .sending.endings import Endings
    from .sending.outbox import Outbox
    from .withdrawing import Withdrawing

#: Seconds within which news from the broker are here, unless they go to another client or the connection was cut.
_PUSHED_S = 0.5
#: Seconds that workers have to say whether they have started what they have in hand.
_ANSWERED_S = 1.0


class Revoking:
    """Revokes calls of a session's batches.

    Args:
        orders: takes orders to workers.

    Attributes:
        book: signs orders of this session.
    """

    def __init__(
        self,
        orders: Submission,
        book: OrderBook,
        outbox: Outbox,
        roster: WorkerRoster,
        registry: Registry,
        intake: Intake,
        endings: Endings,
        withdrawing: Withdrawing,
    ) -> None:
        self._orders = orders
        self.book = book
        self._outbox = outbox
        self._roster = roster
        self._registry = registry
        self._intake = intake
        self._endings = endings
        self._withdrawing = withdrawing

    def revoke(self, batch: Ledger, index: int, terminate: Terminate, pass_on: bool = True) -> None:
        """Make calls that have not ended REVOKED, for good, and tell the workers; handles say so when this returns.

        Without ``terminate`` only what has not been started: which calls that are, their workers know.

        Args:
            pass_on: end what waits for them in a workflow, too.
        """
        self._outbox.flush()
        span = range(batch.sent_count) if index < 0 else (index,)
        in_hand: set[int] = set()
        if not terminate:
            # Before it is looked what workers have in hand: what they take from now on, they do not start.
            self._order_to_stop(batch, index, terminate)
            in_hand = self._roster.in_hand(batch).intersection(span)
        own = batch.own_states
        ranges = list(runs(i for i in span if own[i] < st.FIRST_READY_CODE and i not in in_hand))
        # No payload: the state says it all, and there may be a million of them.
        self._endings.tell(
            batch.id,
            (Record.alike(batch.id, first, count, st.REVOKED_CODE) for first, count in ranges),
        )
        if terminate:
            # After the states: workers look at them when the order comes.
            self._order_to_stop(batch, index, terminate)
        batch.note_change()
        self._see_the_end_of(batch, ranges)
        if in_hand:
            batch.wait_for(lambda: _are_known(batch, in_hand), _ANSWERED_S)
        if index < 0 or batch.all_ended:
            self._withdrawing.withdraw(batch)
        step = batch.parcel.step if batch.parcel is not None else None
        if pass_on and step is not None and step.followers:
            self.pass_on(step.workflow.record)

    def pass_on(self, workflow: WorkflowRecord) -> None:
        """End all calls of a workflow that cannot run any more."""
        self._endings.pass_on(workflow)

    def end_waiting(self, batch: Ledger) -> None:
        """Make all calls REVOKED of a batch that waits for others: nobody runs them, so nobody is asked."""
        own = batch.own_states
        ranges = list(runs(index for index in range(batch.n) if own[index] < st.FIRST_READY_CODE))
        self._endings.tell(
            batch.id,
            (Record.alike(batch.id, first, count, st.REVOKED_CODE) for first, count in ranges),
        )

    def _order_to_stop(self, batch: Ledger, index: int, terminate: Terminate) -> None:
        """Tell the workers that calls of a batch were revoked.

        Raises:
            UnknownCall: the broker does not know the batch.
        """
        what = StopCalls(batch.id, index, bool(terminate), number_of(terminate))
        order = self.book.sealed(what)
        # What a growing batch has just sent is not started, either.
        note = not terminate or (index < 0 and batch.growing)
        if note:
            batch.note_revoked(index)
        if not self._orders.revoke(batch.id, order, index if note else None):
            raise UnknownCall(f"the broker does not know batch {batch.id}; its results may have expired")

    def _see_the_end_of(self, batch: Ledger, ranges: Sequence[tuple[int, int]]) -> None:
        """Have the ends of calls known here that the broker has: by the push that comes, else by asking."""

        def ended() -> bool:
            own = batch.own_states
            return batch.problem is not None or all(
                min(own[first : first + count], default=st.REVOKED_CODE) >= st.FIRST_READY_CODE
                for first, count in ranges
            )

        if not batch.wait_for(ended, _PUSHED_S):
            self._intake.refresh(batch)
            self._registry.announce()


def _are_known(batch: Ledger, indexes: set[int]) -> bool:
    """Whether it is known of calls that they run, or have ended."""
    own = batch.own_states
    return all(index in batch.running or own[index] >= st.FIRST_READY_CODE for index in indexes)
