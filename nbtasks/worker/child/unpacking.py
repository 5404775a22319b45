"""From an entry that was taken to a job: verified, its function there, and without those calls that are not to run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from nbtasks.broker.verbs.entry import Entry
from nbtasks.core.errors import OperationalError, SignatureMismatch, TaskRevokedError, ValueLost
from nbtasks.core.options import with_overrides
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.codec import Codec
from nbtasks.wire.opened.function import Function, standing_in
from nbtasks.worker.executing.interrupts import Stopping
from nbtasks.worker.jobs.doubts import Doubts
from nbtasks.worker.jobs.entriesinhand import EntriesInHand
from nbtasks.worker.jobs.functions import Functions
from nbtasks.worker.jobs.givenlimits import GivenLimits
from nbtasks.worker.jobs.handedon import HandedOn, HandingOn
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.revokedrunning import RevokedRunning
from nbtasks.worker.slots import Slot

from .brokerlines import BrokerLines
from .refusing import Refusing
from .unrun import Unrun


class Unpacking:
    """Makes jobs of entries, for one child.

    Args:
        slot: told what is opened, for what kills its process then.
        has_file: whether this process sees a file of a large value.
        doubts: sees to what may have begun before.
        limits: of tasks, that were set while workers run.
    """

    def __init__(
        self,
        codec: Codec,
        lines: BrokerLines,
        slot: Slot,
        entries: EntriesInHand,
        has_file: Callable[[str], bool],
        doubts: Doubts,
        limits: GivenLimits,
        refusing: Refusing,
        unrun: Unrun,
    ) -> None:
        self._codec = codec
        self._lines = lines
        self._slot = slot
        self._entries = entries
        self._has_file = has_file
        self._doubts = doubts
        self._limits = limits
        self._refusing = refusing
        self._unrun = unrun
        self._functions = Functions(codec, lines.function)
        self._revoked = RevokedRunning(lines.standing, codec)
        self._handing_on = HandingOn(codec, lines.ends)

    def job(self, entry: Entry, make_sure: Callable[[], None]) -> Job | None:
        """Return the job of an entry; None where nothing of it is to be run.

        Args:
            make_sure: looks whether the server is still the one from before, where that is not known.
        """
        try:
            chunk = self._chunk(entry)
        except (SignatureMismatch, ValueLost) as error:
            # Somebody without the key wrote this, or it is of no use here.
            self._refusing.refuse(entry, error)
            return None
        if chunk.header.at_most_once and self._has_begun(entry, chunk, make_sure):
            return None
        skip, revoked = self._not_to_run(entry)
        handed = None
        if chunk.header.inputs:
            handed = self._handing_on.look(chunk, entry.first, entry.count, entry.before)
        if handed is not None:
            if chunk.header.stands_in and handed.waiting:
                self._unrun.put_aside(entry, chunk)
                return None
            skip |= handed.waiting
            if len(skip | revoked | handed.over.keys()) == entry.count:
                self._unrun.end_all(entry, chunk, skip, revoked, handed)
                return None
        return self._job_of(entry, chunk, skip, revoked, handed)

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

    def _job_of(
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
            self._refusing.refuse(entry, error)
            return None
        except BaseException as error:
            # It runs code of the user's: a module may end with sys.exit().
            self._unrun.fail_unopened(entry, chunk, error, FAILURE_CODE, skip, revoked)
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
            self._unrun.end_revoked(job, revoked)
        if handed is not None and handed.over:
            self._unrun.end_over(job, handed)
        if chunk.not_after is not None and self._lines.server_now() > chunk.not_after:
            late = TaskRevokedError.expired(job.options.rate_limit, locked=job.options.is_locked)
            self._unrun.fail_all(job, late, REVOKED_CODE)
            return None
        return job

    def _has_begun(self, entry: Entry, chunk: Chunk, make_sure: Callable[[], None]) -> bool:
        """Whether calls that must not run twice may have begun before; then they are seen to."""
        make_sure()
        if not self._doubts.settle(entry, chunk):
            return False
        self._entries.remove(entry)
        return True

    def _function(self, entry: Entry, digest: str) -> Function:
        known = self._functions.known(digest)
        if known is not None:
            return known
        # A process that dies while it waits for the broker has started nothing.
        frame = self._functions.fetched(digest)
        # Rebuilding it may kill the process: then these calls are suspected.
        self._slot.begin_opening(entry.batch.encode(), entry.first, entry.count)
        try:
            return self._functions.rebuilt(digest, frame)
        finally:
            self._slot.end_opening()

    def _not_to_run(self, entry: Entry) -> tuple[frozenset[int], frozenset[int]]:
        """Return the calls that are final, and those that were revoked when they ran the last time."""
        if not entry.suspect:
            return frozenset(), frozenset()
        return self._revoked.among(entry.batch, entry.first, entry.count)
