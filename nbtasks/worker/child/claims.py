"""When the next call of a job may start: at once, at its task's rate, or with the locks that it needs."""

from __future__ import annotations

from collections.abc import Callable

from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.lockedcalls import LockedCalls
from nbtasks.worker.jobs.pace import Pace
from nbtasks.worker.jobs.permittedcalls import PermittedCalls

from .brokerlines import BrokerLines
from .giving import Giving
from .locksofcalls import LocksOfCalls
from .pausing import Pausing


class Claims:
    """Makes what claims the calls of jobs, for one child."""

    def __init__(
        self, lines: BrokerLines, giving: Giving, pace: Pace, pausing: Pausing, locks: LocksOfCalls
    ) -> None:
        self._lines = lines
        self._giving = giving
        self._pace = pace
        self._pausing = pausing
        self._locks = locks

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
        claim, rate = job.claim, job.options.rate_limit
        if rate is not None:
            ask, put_aside, pause = self._lines.permits, self._giving.put_aside, self._pausing.until
            claim = PermittedCalls(job, rate, most, ask, put_aside, pause).claim
        return LockedCalls(job, claim, self._locks).claim if job.header.locks else claim
