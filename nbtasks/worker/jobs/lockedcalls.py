"""Start calls that need locks: not before they have all of them. A call that has to wait for one goes out of hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nbtasks.broker.verbs.locks import Turn, call_name
from nbtasks.core.hold import Hold

from .job import Job


class CallsLocking(Protocol):
    """Asks for the locks of calls, and sees to what follows."""

    def lapses(self) -> int:
        """Return how often the worker's lease has been gone so far."""

    def take(self, job: Job, index: int) -> Turn:
        """Ask for the locks of a call."""

    def keep_one(self, job: Job) -> None:
        """Give away what is in a job besides the call that is next."""

    def gone(self, job: Job) -> None:
        """The call waits in a line, or somebody else has it."""

    def got(self, job: Job) -> None:
        """A job has its locks."""

    def give_back(self, job: Job) -> None:
        """The call does not start with its locks."""


class LockedCalls:
    """Claims the call of one job when it has its locks.

    Args:
        claim: claims it then; None where it is not to start after all.
    """

    def __init__(self, job: Job, claim: Callable[[], int | None], locking: CallsLocking) -> None:
        self._job = job
        self._claim = claim
        self._locking = locking
        self._begun = False

    def claim(self) -> int | None:
        """Return the index of the call, which has its locks and may start now; None where there is none."""
        job = self._job
        if self._begun or not job.to_run:
            return job.claim()
        if not self._ask():
            return None
        index = self._claim()
        self._begun = index is not None
        if index is None:
            self._locking.give_back(job)
        return index

    def _ask(self) -> bool:
        job = self._job
        if job.remaining > 1:
            self._locking.keep_one(job)
        index, lapses, header = job.first_to_run, self._locking.lapses(), job.header
        if index is None:
            return True
        turn = self._locking.take(job, index)
        if turn.token is None:
            self._locking.gone(job)
            return False
        job.hold = Hold(header.locks, call_name(job.entry.batch, index), turn.token, lapses)
        self._locking.got(job)
        return True
