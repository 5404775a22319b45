"""Revokes calls: those that have not been started do not start, and running ones stop where that is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.errors import UnknownCall
from nbtasks.core.orders import StopCalls
from nbtasks.core.ranges import runs
from nbtasks.core.stopsignal import number_of
from nbtasks.wire.record import Record

if TYPE_CHECKING:
    from nbtasks.broker.verbs.submission import Submission
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.registry import Registry
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.wire.workflowrecord import WorkflowRecord

    from .orderbook import OrderBook
    from .receiving.intake import Intake
    from .roster import WorkerRoster
    from .sending.endings import Endings
    from .sending.outbox import Outbox
    from .withdrawing import Withdrawing

#: Seconds within which news from the broker are here, unless they go to another client or the connection was cut.
_PUSHED_S = 0.5
#: Seconds that workers have to say whether they have started what they have in hand.
_ANSWERED_S = 1.0
#: Orders of one round trip.
_MOST_ORDERS = 500


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

    def revoke_together(self, asked: Mapping[Ledger, Sequence[int]], terminate: Terminate) -> None:
        """Do the same with calls of several batches that workers have been told not to start, without a wait for each.

        Raises:
            UnknownCall: the broker does not know one of the batches; the others were revoked.
        """
        in_hand = {} if terminate else self._in_hand(asked)
        told = [
            (batch, first, count)
            for batch, indexes in asked.items()
            for first, count in runs(_open(batch, indexes, in_hand.get(batch.id, set())))
        ]
        self._endings.tell_all(
            Record.alike(batch.id, first, count, st.REVOKED_CODE) for batch, first, count in told
        )
        unknown = self._order_all(asked, terminate) if terminate else []
        left = [(batch, index) for batch, first, count in told for index in range(first, first + count)]
        one = next(iter(asked))
        if not one.wait_for(lambda: _all_over(left, running=False), _PUSHED_S):
            for batch in {batch: None for batch, _ in left}:
                self._intake.refresh(batch)
            self._registry.announce()
        left = [(batch, index) for batch in asked for index in in_hand.get(batch.id, ())]
        if left:
            one.wait_for(lambda: _all_over(left, running=True), _ANSWERED_S)
        for batch in asked:
            batch.note_change()
            if batch.all_ended:
                self._withdrawing.withdraw(batch)
        self._pass_on_all(asked)
        if unknown:
            raise _unknown(unknown[0])

    def order_not_to_start(self, batch: Ledger, index: int) -> None:
        """Tell the workers that a call is not to be started.

        Raises:
            UnknownCall: the broker does not know the batch.
        """
        self._outbox.flush()
        self._order_to_stop(batch, index, False)

    def _in_hand(self, asked: Mapping[Ledger, Sequence[int]]) -> dict[str, set[int]]:
        """Return batch -> those of the calls that are asked about which workers have in hand."""
        sizes: dict[str, dict[str, int]] = {}
        for batch in asked:
            sizes.setdefault(batch.queue, {})[batch.id] = batch.n
        found: dict[str, set[int]] = {}
        for queue, batches in sizes.items():
            found.update(self._roster.in_hand_of(queue, batches))
        # A worker shows what it runs with the next renewal of its lease: until then it is only known here.
        return {
            batch.id: (found.get(batch.id, set()) | set(batch.running)).intersection(indexes)
            for batch, indexes in asked.items()
        }

    def _order_all(self, asked: Mapping[Ledger, Sequence[int]], terminate: Terminate) -> list[Ledger]:
        """Tell the workers that calls were revoked; returns the batches that the broker does not know."""
        orders: list[tuple[Ledger, bytes, int | None]] = []
        for batch, indexes in asked.items():
            for index in indexes:
                order = self.book.sealed(StopCalls(batch.id, index, bool(terminate), number_of(terminate)))
                orders.append((batch, order, None))
        unknown: dict[Ledger, None] = {}
        for start in range(0, len(orders), _MOST_ORDERS):
            part = orders[start : start + _MOST_ORDERS]
            known = self._orders.revoke_several([(batch.id, order, index) for batch, order, index in part])
            unknown.update(
                {batch: None for (batch, *_), is_known in zip(part, known, strict=True) if not is_known}
            )
        return list(unknown)

    def _pass_on_all(self, batches: Iterable[Ledger]) -> None:
        """End what waits for revoked calls in their workflows."""
        steps = [batch.parcel.step for batch in batches if batch.parcel is not None]
        workflows = {one.workflow.id: one.workflow for one in steps if one is not None and one.followers}
        for workflow in workflows.values():
            self.pass_on(workflow.record)

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
            raise _unknown(batch)

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


def _unknown(batch: Ledger) -> UnknownCall:
    return UnknownCall(f"the broker does not know batch {batch.id}; its results may have expired")


def _open(batch: Ledger, indexes: Sequence[int], in_hand: set[int]) -> list[int]:
    """Return those calls that have not ended, and that no worker has in hand."""
    own = batch.own_states
    return [index for index in indexes if own[index] < st.FIRST_READY_CODE and index not in in_hand]


def _all_over(left: list[tuple[Ledger, int]], running: bool) -> bool:
    """Whether all calls of a list have ended; those are taken off it of which that is known.

    Args:
        running: or run.
    """
    while left:
        batch, index = left[-1]
        over = batch.own_states[index] >= st.FIRST_READY_CODE or batch.problem is not None
        if not (over or (running and index in batch.running)):
            return False
        left.pop()
    return True


def _are_known(batch: Ledger, indexes: set[int]) -> bool:
    """Whether it is known of calls that they run, or have ended."""
    own = batch.own_states
    return all(index in batch.running or own[index] >= st.FIRST_READY_CODE for index in indexes)
