"""Take entries for one child and open them into jobs; look again at what is in hand after a lost connection."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from nbtasks.broker.redis.delivery import Delivery
from nbtasks.broker.redis.entry import Entry
from nbtasks.broker.redis.finish import Finish
from nbtasks.core.address import Address
from nbtasks.core.errors import OperationalError, SignatureMismatch, TaskRevokedError, ValueLost, WireError
from nbtasks.core.options import TaskOptions, with_overrides
from nbtasks.core.readable import repr_of
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.opened.function import Function, standing_in
from nbtasks.wire.workflows.ends import Results
from nbtasks.worker.executing.interrupts import Stopping
from nbtasks.worker.jobs.doubts import Doubts
from nbtasks.worker.jobs.ended import Done, PutAside, Refused
from nbtasks.worker.jobs.entriesinhand import EntriesInHand, place
from nbtasks.worker.jobs.functions import Functions
from nbtasks.worker.jobs.givenlimits import GivenLimits
from nbtasks.worker.jobs.handedon import HandedOn, HandingOn
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.jobs.revokedrunning import RevokedRunning
from nbtasks.worker.log import LOGGER, log_once
from nbtasks.worker.slots import Slot


class Consumer:
    """One child's source of jobs.

    Args:
        server_now: the server's time in epoch seconds.
        slot: told what is opened, for what kills its process then.
        has_file: whether this process sees a file of a large value.
        block_ms: longest wait for an entry.
        doubts: sees to what may have begun before.
        ends: how those calls have ended that others wait for.
        limits: of tasks, that were set while workers run.
    """

    def __init__(
        self,
        delivery: Delivery,
        revoked: RevokedRunning,
        codec: Codec,
        functions: Functions,
        reporter: Reporter,
        in_hand: EntriesInHand,
        server_now: Callable[[], float],
        slot: Slot,
        has_file: Callable[[str], bool],
        block_ms: int,
        doubts: Doubts,
        ends: Results,
        limits: GivenLimits,
    ) -> None:
        self._delivery = delivery
        self._revoked = revoked
        self._codec = codec
        self._functions = functions
        self._reporter = reporter
        self._in_hand = in_hand
        self._server_now = server_now
        self._slot = slot
        self._has_file = has_file
        self._block_ms = block_ms
        self._doubts = doubts
        self._handing_on = HandingOn(codec, ends)
        self._limits = limits
        #: The connection on which it was last looked what is in hand. With an older one a reply may have been lost, and
        #: a server that has gone back in time gives again what was done.
        self._audited = 0

    def take(self, most: int) -> list[Job]:
        """Return jobs that can be had without waiting; after a new connection, those that may have been missed."""
        missed = [] if self.is_sure else self.audit()
        if missed:
            return missed
        return self.opened(self._delivery.take(most))

    @property
    def is_sure(self) -> bool:
        """Whether nothing can have been missed: the connection is the one that was looked at last."""
        return self._delivery.connections == self._audited

    def wait(self, on_told: Callable[[], None] | None = None) -> list[Entry]:
        """Wait some seconds for an entry.

        Args:
            on_told: given where what has ended shall be told along with it; called when it is.
        """
        if on_told is None:
            return self._delivery.wait(self._block_ms)

        def send(report: Finish | None, told: Callable[[], None]) -> list[Entry]:
            def both() -> None:
                told()
                on_told()

            return self._delivery.wait(self._block_ms, report, both)

        return self._reporter.flush_along(send)

    def audit(self) -> list[Job]:
        """Return jobs for what this child holds without knowing it: the reply that brought them was lost."""
        # Before anything is taken: the server may be another one, which has lost what this one's workers have begun.
        self._delivery.prepare(self._server_now())
        # Looked at before and after: what ends in between is in the broker's list, and not in this child's hands.
        known = self._in_hand.places()
        found = self._delivery.in_hand()
        self._audited = self._delivery.connections
        lost = [one for one in found if not (one in self._in_hand or place(one) in known)]
        return self.opened(self._delivery.living(lost))

    def no_longer_in_hand(self, jobs: list[Job]) -> list[Job]:
        """Return those jobs whose entries were given to others."""
        in_hand = {place(entry) for entry in self._delivery.in_hand()}
        return [job for job in jobs if place(job.entry) not in in_hand]

    def _chunk(self, entry: Entry) -> Chunk:
        """Verify the chunk of an entry.

        Raises:
            SignatureMismatch: somebody without the key wrote or moved it.
            ValueLost: it is of no use here without its large values.
        """
        chunk = self._codec.open_chunk(entry.frame, entry.batch, entry.address)
        end = chunk.first + len(chunk.payloads)
        if not chunk.first <= entry.first < entry.first + entry.count <= end:
            raise SignatureMismatch("an entry names calls that its chunk does not have")
        if not all(map(self._has_file, chunk.header.files)):
            raise ValueLost("large values of it are in files that this worker does not see")
        return chunk

    def opened(self, entries: list[Entry]) -> list[Job]:
        """Return the jobs in entries that were taken; what cannot be opened is refused."""
        jobs: list[Job] = []
        for number, entry in enumerate(entries):
            self._in_hand.add(entry)
            try:
                job = self._open(entry)
            except OperationalError:
                # The next audit brings them again, unless they count as in hand.
                for late in [*(job.entry for job in jobs), *entries[number:]]:
                    self._in_hand.remove(late)
                raise
            if job is not None:
                jobs.append(job)
        return jobs

    def _open(self, entry: Entry) -> Job | None:
        try:
            chunk = self._chunk(entry)
        except (SignatureMismatch, ValueLost) as error:
            # Somebody without the key wrote this, or it is of no use here. Running it is out of the question; keeping
            # it would block the queue.
            self._refuse(entry, error)
            return None
        if chunk.header.at_most_once and self._has_begun(entry, chunk):
            return None
        skip, revoked = self._not_to_run(entry)
        handed = None
        if chunk.header.inputs:
            handed = self._handing_on.look(chunk, entry.first, entry.count, entry.before)
        if handed is not None:
            if chunk.header.stands_in and handed.waiting:
                self._put_aside(entry, chunk)
                return None
            skip |= handed.waiting
            if len(skip | revoked | handed.over.keys()) == entry.count:
                self._end_unrun(entry, chunk, skip, revoked, handed)
                return None
        return self._job(entry, chunk, skip, revoked, handed)

    def _job(
        self,
        entry: Entry,
        chunk: Chunk,
        skip: frozenset[int],
        revoked: frozenset[int],
        handed: HandedOn | None,
    ) -> Job | None:
        try:
            function = self._function(entry, chunk.function)
        except (OperationalError, Stopping):
            raise
        except SignatureMismatch as error:
            self._refuse(entry, error)
            return None
        except BaseException as error:
            # It runs code of the user's: a module may end with sys.exit().
            self._fail(entry, chunk, error, FAILURE_CODE, skip, revoked)
            return None
        if chunk.header.stands_in:
            function = standing_in(function)
        options = with_overrides(function.options, chunk.header.overrides)
        options = self._limits.applied(chunk.header.name, options)
        if chunk.header.keeps_value and options.ignore_result:
            options = dataclasses.replace(options, ignore_result=False)
        job = Job(
            entry, chunk, function, options, entry.first, entry.first + entry.count, skip, handed
        )  # fmt: skip
        if revoked:
            self._end_revoked(job, revoked)
        if handed is not None and handed.over:
            self._end_over(job, handed)
        if chunk.not_after is not None and self._server_now() > chunk.not_after:
            late = TaskRevokedError.expired(job.options.rate_limit)
            self._fail_all(job, late, REVOKED_CODE)
            return None
        return job

    def _has_begun(self, entry: Entry, chunk: Chunk) -> bool:
        """Whether calls that must not run twice may have begun before; then they are seen to."""
        if not self.is_sure:
            self._delivery.prepare(self._server_now())
        if not self._doubts.settle(entry, chunk):
            return False
        self._in_hand.remove(entry)
        return True

    def _function(self, entry: Entry, digest: str) -> Function:
        known = self._functions.known(digest)
        if known is not None:
            return known
        # A process that dies while it waits for the broker has started nothing.
        frame = self._functions.fetched(digest)
        # Rebuilding it may kill the process: then these calls are charged.
        self._slot.begin(entry.batch.encode(), entry.first, 0.0, entry.count)
        try:
            return self._functions.rebuilt(digest, frame)
        finally:
            self._slot.end_opening()

    def _refuse(self, entry: Entry, error: WireError) -> None:
        log_once(f"queue {entry.address}, batch {entry.batch}: refused: {error}")
        # A chunk that is ours says itself which calls have lost it; for another one the entry is believed.
        meant = self._codec.belongs(entry.frame)
        batch, first, count = meant or (entry.batch, entry.first, entry.count)
        if (
            meant
            and batch == entry.batch
            and first <= entry.first < entry.first + entry.count <= first + count
        ):
            first, count = entry.first, entry.count
        gone = isinstance(error, ValueLost)
        self._reporter.refused(Refused(batch, first, count, entry.key_id, str(error), gone), entry)

    def left_out(self, address: Address, batch: str, frame: bytes) -> None:
        """An entry is over, or nobody knows its batch: a copy, or one that somebody has put under another batch."""
        log_once(
            f"queue {address}, batch {batch}: left out an entry: it is over, or nobody knows it",
            logging.WARNING,
        )
        meant = self._codec.belongs(frame)
        if meant is not None and meant[0] != batch:
            reason = f"its entry was put under {batch}"
            self._reporter.refused(Refused(*meant, address.key_id, reason), None)

    def _not_to_run(self, entry: Entry) -> tuple[frozenset[int], frozenset[int]]:
        """Return the calls that are final, and those that were revoked when they ran the last time."""
        if not entry.suspect:
            return frozenset(), frozenset()
        return self._revoked.among(entry.batch, entry.first, entry.count)

    def _end_revoked(self, job: Job, indexes: frozenset[int]) -> None:
        for index in job.leave_out(frozenset(), indexes):
            self._reporter.ended(Done(job, index, REVOKED_CODE, 0.0, b""))

    def _end_over(self, job: Job, handed: HandedOn) -> None:
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

    def _end_unrun(
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
            self._end_revoked(job, revoked)
        self._end_over(job, handed)
        job.claim()
        self._reporter.skipped_if_empty(job)

    def _put_aside(self, entry: Entry, chunk: Chunk) -> None:
        """Have a call wait on whose value comes from others that have not ended."""
        nothing = Function.of(chunk.function, lambda: None, None)
        job = Job(entry, chunk, nothing, TaskOptions(), entry.first, entry.first + entry.count)
        while (index := job.claim()) is not None:
            self._reporter.ended(PutAside(job, index, chunk.header.inputs))

    def _fail(
        self,
        entry: Entry,
        chunk: Chunk,
        error: BaseException,
        state: int,
        skip: frozenset[int],
        revoked: frozenset[int],
    ) -> None:
        LOGGER.error(
            "Task %s: its function cannot be rebuilt here: %s", chunk.header.name, repr_of(error, 500)
        )
        nothing = Function.of(chunk.function, lambda: None, None)
        job = Job(entry, chunk, nothing, TaskOptions(), entry.first, entry.first + entry.count, skip)
        if revoked:
            self._end_revoked(job, revoked)
        self._fail_all(job, error, state)

    def _fail_all(self, job: Job, error: BaseException, state: int) -> None:
        payload = failures.pack(error)
        while True:
            index = job.claim()
            if index is None:
                break
            self._reporter.ended(Done(job, index, state, 0.0, payload))
        self._reporter.skipped_if_empty(job)
