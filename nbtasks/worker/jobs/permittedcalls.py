"""Start calls of a task with a rate limit: no sooner than the server permits, and hold nothing that has no permit."""

from __future__ import annotations

import time
from collections.abc import Callable

from nbtasks.broker.verbs.permits import Grant, limit_of
from nbtasks.core.rates import seconds_between

from .job import Job

#: A permit that is not used for so long is lost: else calls that were held up would all start together.
_GOOD_FOR_S = 0.05

#: Asks the server: limit, seconds between two starts, most permits, calls in hand, address of the queue.
Take = Callable[[str, float, int, int, str], Grant]


class PermittedCalls:
    """Claims the calls of one job, each when it may start.

    Args:
        most: calls that could start soon: permits for more would be lost.
        take: asks the server.
        put_aside: puts calls of the job aside: how many of its remaining ones to keep, seconds until the others come
            again, the limit.
        pause: sleeps until a moment (monotonic); False where nothing shall be started any more.
    """

    def __init__(
        self,
        job: Job,
        rate: str,
        most: int,
        take: Take,
        put_aside: Callable[[Job, int, float, str], None],
        pause: Callable[[float], bool],
    ) -> None:
        self._job = job
        self._limit = limit_of(job.header.name, rate)
        self._every_s = seconds_between(rate)
        self._most = most
        self._take = take
        self._put_aside = put_aside
        self._pause = pause
        self._permits = 0
        #: When the next call may start, and until when it must have started (monotonic).
        self._start = self._good_until = 0.0

    def claim(self) -> int | None:
        """Return the index of the next call to start, which may start now; None where there is none."""
        while self._job.to_run:
            if not self._permits or time.monotonic() > max(self._good_until, self._start + _GOOD_FOR_S):
                self._ask()
            elif not self._pause(self._start):
                return None
            else:
                self._permits -= 1
                self._start += self._every_s
                return self._job.claim()
        # What is left was ended meanwhile: with that the job is over.
        return self._job.claim()

    def _ask(self) -> None:
        """Take permits, and put aside what gets none."""
        job, in_hand = self._job, self._job.to_run
        most = min(self._most, in_hand)
        grant = self._take(self._limit, self._every_s, most, in_hand, job.entry.address)
        now = time.monotonic()
        self._permits, self._start, self._good_until = grant.permits, now + grant.first_s, now + _GOOD_FOR_S
        if grant.permits < in_hand:
            self._put_aside(job, job.span(grant.permits), grant.again_s, self._limit)
