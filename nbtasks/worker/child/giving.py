"""Giving calls away that are in hand and not started: others may be free for them."""

from __future__ import annotations

import time

from nbtasks.broker.verbs.delivery import Aside
from nbtasks.core.errors import OperationalError
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.pace import Pace
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.log import log_trouble

from .brokerlines import BrokerLines
from .inhand import InHand


class Giving:
    """Puts calls back into their queue, uncharged, in the main thread and in the reporter's."""

    def __init__(
        self,
        lines: BrokerLines,
        in_hand: InHand,
        reporter: Reporter,
        pace: Pace,
    ) -> None:
        self._lines = lines
        self._in_hand = in_hand
        self._reporter = reporter
        self._pace = pace

    def share(self, job: Job) -> None:
        """Keep as many calls as are worth keeping, and give the others away."""
        keep = self._pace.keep(job.chunk.function, job.remaining)
        if keep < job.remaining:
            began = time.monotonic()
            self.give_rest(job, keep)
            self._pace.note_gift(time.monotonic() - began)

    def put_aside(self, job: Job, keep: int, delay_s: float, limit: str) -> None:
        """Keep as many calls as have a permit; the others come again, uncharged, when the next ones may start."""
        due_ms = round((self._lines.server_now() + delay_s) * 1000)
        aside = Aside(job.header.lane, due_ms, limit)
        if keep or not job.is_untouched:
            self.give_rest(job, keep, aside)
        else:
            self._give_all(job, aside)

    def _give_all(self, job: Job, aside: Aside) -> None:
        """Put a job aside that was not begun, and be rid of its entry in the same step."""
        with job.giving:
            # Nobody acknowledges it any more: it is over with the gift.
            job.given_up = True
            piece = job.cut(0)
            if piece is not None:
                entry = job.entry
                self._lines.retrying(
                    lambda: self._lines.giving.give(
                        entry, [(*piece, entry.attempt)], end=sum(piece), aside=aside
                    )
                )
                self._in_hand.entries.remove(entry)
                if job is self._in_hand.current:
                    self._in_hand.shown.cut(job)

    def give_rest(self, job: Job, keep: int, aside: Aside | None = None) -> None:
        """Give away what is not started of a job, but for the first ``keep`` calls."""
        with job.giving:
            # Until the broker has the piece, nobody may acknowledge the entry: the piece would be lost with it.
            job.given_up = True
            piece = job.cut(keep)
            if piece is not None:
                entry = job.entry
                kept = (entry.first, job.end - entry.first)
                self._lines.retrying(
                    lambda: self._lines.giving.give(entry, [(*piece, entry.attempt)], kept, sum(piece), aside)
                )
                if job is self._in_hand.current:
                    self._in_hand.shown.cut(job)
            job.given_up = False
        self._reporter.skipped_if_empty(job)

    def give_unstarted(self) -> None:
        """The running call takes long: nothing in hand shall wait for it."""
        job = self._in_hand.current
        waiting = self._in_hand.waiting
        try:
            if job is not None and job.remaining:
                self.give_rest(job, 0)
            while waiting:
                self._give_whole(waiting.pop())
                self._in_hand.shown.drop_last()
        except IndexError:
            return
        except OperationalError as error:
            log_trouble("calls are kept until the broker answers again", error)

    def _give_whole(self, job: Job) -> None:
        """Give back a job that was not begun; it stays in hand when the broker does not answer."""
        try:
            self._lines.giving.give(job.entry, [(job.next, job.remaining, job.entry.attempt)], end=job.end)
        except OperationalError:
            self._in_hand.waiting.append(job)
            raise
        self._in_hand.entries.remove(job.entry)

    def drop_unstarted(self, current: Job | None) -> None:
        """Give everything back that is not started."""
        if current is not None and current.remaining:
            self.give_rest(current, 0)
        while self._in_hand.waiting:
            self._lines.retrying(lambda: self._give_whole(self._in_hand.waiting.popleft()))
