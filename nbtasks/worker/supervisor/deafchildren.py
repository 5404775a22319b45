"""Gives to others what a deaf child has in hand and has not started: no call waits behind one that keeps the GIL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from nbtasks.broker.verbs.consumers import consumer_of
from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.broker.verbs.entry import Entry
from nbtasks.core.errors import OperationalError
from nbtasks.worker.jobs.hand import ASKED, GIVEN, NOTHING, Hand
from nbtasks.worker.log import LOGGER, log_trouble
from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import BUSY, RunningCall

#: A call that runs so long without its process giving anything away has made it deaf, about.
_DEAF_AFTER_S = 0.4
#: Seconds until what one process has written is seen by the other, with much to spare.
_SEEN_AFTER_S = 0.002


@dataclass(frozen=True)
class _Gift:
    """Calls of one entry that are given away; ``kept`` is what remains of it, if anything does."""

    entry: Entry
    piece: tuple[int, int, int]
    kept: tuple[int, int] | None


@dataclass
class _Plan:
    serial: int
    pid: int
    gifts: list[_Gift]


class DeafChildren:
    """Looks after the children of one worker.

    Args:
        worker: its id.
    """

    def __init__(self, delivery: Delivery, worker: str) -> None:
        self._delivery = delivery
        self._worker = worker
        #: Seat -> what is being given away of it. Begun is begun: the child waits for it.
        self._plans: dict[int, _Plan] = {}
        #: Seat -> pid and serial of the call behind which nothing is left.
        self._relieved: dict[int, tuple[int, int]] = {}

    def look(self, seat: Seat) -> None:
        """Give away what is in a child's hands if it is deaf."""
        number, slot, hand = seat.number, seat.slot, seat.hand
        pid, state, _, _ = slot.status()
        plan = self._plans.get(number)
        if plan is not None and plan.pid != pid:
            # It has died; what it held is given back as a whole.
            del self._plans[number]
            plan = None
        if plan is None:
            running = slot.running()
            if state != BUSY or running is None or self._relieved.get(number) == (pid, running.serial):
                return
            if time.monotonic() - running.started < _DEAF_AFTER_S:
                return
            plan = self._begin(seat, running, pid)
        if plan is not None:
            self._carry_out(number, hand, plan)

    def _begin(self, seat: Seat, running: RunningCall, pid: int) -> _Plan | None:
        hand = seat.hand
        if not list(_gifts(hand, running)):
            return None
        hand.say(running.serial, ASKED)
        time.sleep(_SEEN_AFTER_S)
        now = seat.slot.running()
        gifts = list(_gifts(hand, running)) if now is not None and now.serial == running.serial else []
        if not gifts:
            hand.say(running.serial, NOTHING)
            return None
        plan = self._plans[seat.number] = _Plan(running.serial, pid, gifts)
        return plan

    def _carry_out(self, number: int, hand: Hand, plan: _Plan) -> None:
        holder = self._delivery.on_behalf_of(consumer_of(self._worker, number))
        n = sum(gift.piece[1] for gift in plan.gifts)
        try:
            while plan.gifts:
                gift = plan.gifts[0]
                holder.give(gift.entry, [gift.piece], gift.kept, gift.piece[0] + gift.piece[1])
                plan.gifts.pop(0)
        except OperationalError as error:
            log_trouble("calls behind a long one are kept until the broker answers again", error)
            return
        hand.say(plan.serial, GIVEN)
        self._relieved[number] = (plan.pid, plan.serial)
        del self._plans[number]
        LOGGER.info("%d call(s) behind one that keeps its process busy were given to others", n)


def _gifts(hand: Hand, running: RunningCall) -> Iterator[_Gift]:
    """Yield what is not started, as the child has written it."""
    current, others = hand.jobs()
    if current is None or current.entry.batch != running.batch or not running.has_begun:
        # The list is of another moment than the call.
        return
    entry, after = current.entry, running.index + 1
    if not entry.first <= running.index < current.end:
        return
    if after < current.end:
        yield _Gift(entry, (after, current.end - after, entry.attempt), (entry.first, after - entry.first))
    for held in others:
        if held.next < held.end:
            yield _Gift(held.entry, (held.next, held.end - held.next, held.entry.attempt), None)
