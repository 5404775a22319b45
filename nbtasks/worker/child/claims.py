"""When the next call of a job may start: at once, at its task's rate, or with the locks that it needs."""

from __future__ import annotations

import time
from collections.abc import Callable

from nbtasks.worker.executing.interrupts import Interrupts
from nbtasks.worker.jobs.entriesinhand import EntriesInHand
from nbtasks.worker.jobs.hand import Hand
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.lockedcalls import LockedCalls
from nbtasks.worker.jobs.pace import Pace
from nbtasks.worker.jobs.permittedcalls import PermittedCalls
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.slots import Slot

from .brokerlines import BrokerLines
from .giving import Giving
from .inhand import InHand
from .lockwatch import LockWatch
from .stopping import Revocations
from .tenure import Tenure

#: Before a longer pause between two starts it is told what has ended.
_TELL_BEFORE_S = 0.005


class Claims:
    """Makes what claims the calls of jobs, for one child.

    Attributes:
        locks: watches over calls that hold some.
    """

    def __init__(
        self,
        lines: BrokerLines,
        slot: Slot,
        jobs: InHand,
        hand: Hand,
        in_hand: EntriesInHand,
        giving: Giving,
        pace: Pace,
        reporter: Reporter,
        interrupts: Interrupts,
        revocations: Revocations,
        tenure: Tenure,
        locks: LockWatch,
    ) -> None:
        self._lines = lines
        self._slot = slot
        self._jobs = jobs
        self._hand = hand
        self._in_hand = in_hand
        self._giving = giving
        self._pace = pace
        self._reporter = reporter
        self._interrupts = interrupts
        self._revocations = revocations
        self._tenure = tenure
        self.locks = locks

    def one_by_one(self, job: Job) -> Callable[[], int | None]:
        """Return what claims the calls of a job, of which as many are kept as are worth it."""
        if job.options.rate_limit is None and not job.header.locks:
            if job.remaining > 1:
                self._giving.share(job)
            return job.claim
        return self.held_up(job, self._pace.most_permits(job.chunk.function, job.remaining))

    def held_up(self, job: Job, most: int) -> Callable[[], int | None]:
        """Return what claims the calls of a job whose task has a rate limit, or that need locks.

        Args:
            most: calls that could start soon.
        """
        claim = job.claim
        if job.options.rate_limit is not None:
            lines, put_aside = self._lines, self._giving.put_aside
            claim = PermittedCalls(
                job, job.options.rate_limit, most, lines.permits, put_aside, self._pause
            ).claim
        if not job.header.locks:
            return claim
        return LockedCalls(
            job, claim, lambda: self._slot.lease()[1], self._lines.take_locks, self._keep_one, self._gone,
            self._got, self._give_back,
        ).claim  # fmt: skip

    def _pause(self, until: float) -> bool:
        """Sleep until a call may start; False where none shall any more."""
        rest_s = until - time.monotonic()
        if rest_s > 0:
            if rest_s > _TELL_BEFORE_S:
                self._reporter.try_flush()
            time.sleep(max(0.0, until - time.monotonic()))
            if self._revocations.due:
                self._revocations.follow(self._jobs.all())
            self._tenure.keep_what_is_ours()
        return not self._interrupts.stopping

    # -- calls that need locks

    def _keep_one(self, job: Job) -> None:
        self._giving.give_rest(job, job.span(1))

    def _gone(self, job: Job) -> None:
        """The broker has taken a call out of this child's hands."""
        with job.giving:
            # Nobody acknowledges it any more.
            job.given_up = True
            job.drop()
            self._in_hand.remove(job.entry)
            if job is self._jobs.current:
                self._hand.cut(job)

    def _got(self, job: Job) -> None:
        assert job.hold is not None
        self.locks.granted(job.hold.lapses)

    def _give_back(self, job: Job) -> None:
        hold, job.hold = job.hold, None
        if hold is not None:
            self._lines.give_locks_back(hold.locks, hold.name)
