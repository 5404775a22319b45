"""Calls that end, or are put aside, without being run."""

from __future__ import annotations

from nbtasks.broker.verbs.entry import Entry
from nbtasks.core.options import TaskOptions
from nbtasks.core.readable import repr_of
from nbtasks.core.states import REVOKED_CODE
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.errors import failures
from nbtasks.wire.opened.function import Function
from nbtasks.worker.jobs.ended import Done, PutAside
from nbtasks.worker.jobs.handedon import HandedOn
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.log import LOGGER


class Unrun:
    """Tells of them, for one child."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def end_revoked(self, job: Job, indexes: frozenset[int]) -> None:
        """End calls that were revoked."""
        for index in job.leave_out(frozenset(), indexes):
            self._reporter.ended(Done(job, index, REVOKED_CODE, 0.0, b""))

    def end_over(self, job: Job, handed: HandedOn) -> None:
        """End calls that do not run, for something before them has not succeeded."""
        for index in job.leave_out(frozenset(), frozenset(handed.over)):
            end = handed.over[index]
            self._reporter.ended(Done(job, index, end.state, 0.0, end.payload))
        LOGGER.info(
            "Task %s[%s]: %d call(s) are not run: something before them has not succeeded",
            job.header.name,
            job.entry.batch,
            len(handed.over),
        )

    def end_all(
        self,
        entry: Entry,
        chunk: Chunk,
        skip: frozenset[int],
        revoked: frozenset[int],
        handed: HandedOn,
    ) -> None:
        """End an entry of which nothing is to run: nobody needs its function."""
        nothing = Function.of(chunk.function, lambda: None, None)
        job = Job(
            entry, chunk, nothing, TaskOptions(), entry.first, entry.first + entry.count, skip, handed
        )  # fmt: skip
        if revoked:
            self.end_revoked(job, revoked)
        self.end_over(job, handed)
        job.claim()
        self._reporter.skipped_if_empty(job)

    def put_aside(self, entry: Entry, chunk: Chunk) -> None:
        """Have a call wait on whose value comes from others that have not ended."""
        nothing = Function.of(chunk.function, lambda: None, None)
        job = Job(entry, chunk, nothing, TaskOptions(), entry.first, entry.first + entry.count)
        while (index := job.claim()) is not None:
            self._reporter.ended(PutAside(job, index, chunk.header.inputs))

    def fail_unopened(
        self,
        entry: Entry,
        chunk: Chunk,
        error: BaseException,
        state: int,
        skip: frozenset[int],
        revoked: frozenset[int],
    ) -> None:
        """End calls whose function cannot be rebuilt here, but for those that are final."""
        LOGGER.error(
            "Task %s: its function cannot be rebuilt here: %s", chunk.header.name, repr_of(error, 500)
        )
        nothing = Function.of(chunk.function, lambda: None, None)
        job = Job(entry, chunk, nothing, TaskOptions(), entry.first, entry.first + entry.count, skip)
        if revoked:
            self.end_revoked(job, revoked)
        self.fail_all(job, error, state)

    def fail_all(self, job: Job, error: BaseException, state: int) -> None:
        """End all calls of a job with an error."""
        payload = failures.pack(error)
        while True:
            index = job.claim()
            if index is None:
                break
            self._reporter.ended(Done(job, index, state, 0.0, payload))
        self._reporter.skipped_if_empty(job)
