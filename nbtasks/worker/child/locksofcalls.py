"""The locks that the calls of a child need: asked for, and what becomes of a call that does not get them."""

from __future__ import annotations

from nbtasks.broker.verbs.locks import Turn
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.slots import Slot

from .brokerlines import BrokerLines
from .giving import Giving
from .inhand import InHand
from .lockwatch import LockWatch


class LocksOfCalls:
    """Of one child.

    Attributes:
        watch: over calls that hold some.
    """

    def __init__(
        self, lines: BrokerLines, slot: Slot, in_hand: InHand, giving: Giving, watch: LockWatch
    ) -> None:
        self._lines = lines
        self._slot = slot
        self._in_hand = in_hand
        self._giving = giving
        self.watch = watch

    def lapses(self) -> int:
        """Return how often the worker's lease has been gone so far."""
        return self._slot.lease()[1]

    def take(self, job: Job, index: int) -> Turn:
        """Ask for the locks of a call."""
        header = job.header
        title = f"{header.shadow or header.name}[{job.id_of(index)}]"
        return self._lines.take_locks(job.entry, index, header.lane, title, header.locks)

    def keep_one(self, job: Job) -> None:
        """Give away what is in a job besides the call that is next."""
        self._giving.give_rest(job, job.span(1))

    def gone(self, job: Job) -> None:
        """The broker has taken a call out of this child's hands: it waits in a line, or somebody else has it."""
        with job.giving:
            # Nobody acknowledges it any more.
            job.given_up = True
            job.drop()
            self._in_hand.entries.remove(job.entry)
            if job is self._in_hand.current:
                self._in_hand.shown.cut(job)

    def got(self, job: Job) -> None:
        """A job has its locks."""
        assert job.hold is not None
        self.watch.granted(job.hold.lapses)

    def give_back(self, job: Job) -> None:
        """A call does not start with its locks."""
        hold, job.hold = job.hold, None
        if hold is not None:
            self._lines.give_locks_back(hold.locks, hold.name)
