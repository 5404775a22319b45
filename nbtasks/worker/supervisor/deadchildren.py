"""Give back what children of this worker held that have died, and say of what they died."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from nbtasks.broker.verbs.consumers import consumer_of
from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.broker.verbs.locks import Locks
from nbtasks.core.errors import OperationalError
from nbtasks.worker.log import log_trouble
from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import CONCURRENT, LOCKS_LOST

from .enforcement import Enforcement
from .forkserver import FAILED, Death
from .judging import Loss
from .recovery import Recovery

#: Seconds until it is tried again, where the broker does not answer.
_AGAIN_S = 0.5


@dataclass
class _Left:
    """What a dead child has left is given back at a time (monotonic)."""

    loss: Loss
    at: float


class DeadChildren:
    """Sees to those of one worker.

    Args:
        worker: its id.
        enforcement: knows who was killed, and why.
    """

    def __init__(
        self, delivery: Delivery, recovery: Recovery, enforcement: Enforcement, locks: Locks, worker: str
    ) -> None:
        self._delivery = delivery
        self._recovery = recovery
        self._enforcement = enforcement
        self._locks = locks
        self._worker = worker
        self._left: dict[int, _Left] = {}

    def note(self, death: Death, seat: Seat, stopping: bool, now: float) -> None:
        """A child has died; its seat is as it has left it."""
        self._left[seat.number] = _Left(self._loss(death, seat, stopping), now)

    def give_back(self, now: float) -> list[int]:
        """Give back what is due; returns the seats that may be filled again."""
        done = []
        for number, left in list(self._left.items()):
            if now < left.at:
                continue
            consumer = consumer_of(self._worker, number)
            try:
                # Before its calls: they may take them again.
                self._locks.unlock_consumer(consumer)
                self._recovery.consumer(consumer, left.loss)
            except OperationalError as error:
                log_trouble("what a dead child held cannot be given back yet", error)
                left.at = now + _AGAIN_S
            else:
                del self._left[number]
                done.append(number)
        return done

    def give_back_all(self, numbers: Iterable[int]) -> None:
        """Give back what children of these seats may still hold, and have the broker forget them: the worker ends.

        Raises:
            OperationalError: the broker does not answer.
        """
        self._locks.unlock(self._worker)
        for number in numbers:
            consumer, left = consumer_of(self._worker, number), self._left.get(number)
            loss = left.loss if left is not None else Loss("the worker was stopped", uncharged=True)
            self._recovery.consumer(consumer, loss)
            self._delivery.on_behalf_of(consumer).forget()

    def _loss(self, death: Death, seat: Seat, stopping: bool) -> Loss:
        running, concurrent = seat.slot.running(), seat.slot.status()[1] == CONCURRENT
        executing = (running.batch, running.index) if running else None
        opening = running.count if running and not running.has_begun else 0
        killed = self._enforcement.killed(death.pid)
        # Others may have ended there, and not have been told.
        shared = bool(seat.roster.running()) or concurrent
        # Calls in threads or in the event loop are not in the slot: nobody knows which of them had begun.
        seen = not concurrent
        if stopping:
            return Loss(
                "the worker was stopped", executing, opening, seen=seen, uncharged=True, shared=shared
            )
        if killed is not None:
            call = killed.call
            story = f"it was killed with a call that did not stop: it {killed.error}"
            if not call.has_begun:
                # The broker knows which calls were revoked; the others go on.
                return Loss(story, shared=shared)
            return Loss(story, (call.batch, call.index), error=killed.error, shared=shared)
        at_fault = os.waitstatus_to_exitcode(death.status) == FAILED
        return Loss(_story(death, seat), executing, opening, seen=seen, at_fault=at_fault, shared=shared)


def _story(death: Death, seat: Seat) -> str:
    code = os.waitstatus_to_exitcode(death.status)
    if code < 0:
        how = f"it was killed by signal {-code} ({signal.Signals(-code).name})"
        if -code == signal.SIGKILL:
            how += ", which is how a system that has run out of memory ends a process"
    else:
        how = f"it ended with exit code {code}"
        if code == LOCKS_LOST:
            how = "a call of it had lost its locks, so it was ended"
    how += f". It had taken up to {death.peak_bytes / 1e6:,.0f} MB of memory"
    tail = seat.output.last_words().strip()
    return f"{how}. Its last words:\n{tail}" if tail else how
