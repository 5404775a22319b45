"""Stop what was revoked. An order says that there is something; which calls it is, the broker's states say.

So it does not matter how many orders come at once, or whether one was missed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import OperationalError, TaskRevokedError
from nbtasks.core.states import REVOKED_CODE
from nbtasks.worker.executing.interrupts import ORDER, Interrupts
from nbtasks.worker.jobs.ended import Done
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.jobs.revokedrunning import RevokedRunning
from nbtasks.worker.jobs.runningcalls import RunningCalls
from nbtasks.worker.log import log_trouble

#: Reads (batch, first, count) -> one state code a call.
ReadStates = Callable[[str, int, int], bytes]


class Stopper(Protocol):
    """Something that runs calls beside the main thread."""

    def stop(self, call: CurrentCall, reason: Exception) -> bool:
        """Stop a call if it runs there."""


class Revocations:
    """Follows orders for one child."""

    def __init__(
        self,
        read_states: ReadStates,
        revoked: RevokedRunning,
        reporter: Reporter,
        running: RunningCalls,
        interrupts: Interrupts,
    ) -> None:
        self._read_states = read_states
        self._revoked = revoked
        self._reporter = reporter
        self._running = running
        self._interrupts = interrupts
        self.due = False
        self._lock = threading.Lock()
        self.stoppers: list[Stopper] = []

    def note(self) -> None:
        """An order has come; called from the signal handler."""
        self.due = True

    def follow(self, jobs: Iterable[Job]) -> None:
        """Leave out of the jobs in hand what is final, and stop running calls that are REVOKED.

        What was revoked without that is REVOKED where it has not been started; what runs goes on, and is noted, for it
        is not run again.
        """
        with self._lock:
            if not self.due:
                return
            self.due = False
            try:
                for job in jobs:
                    self._leave_out(job)
                for call, _ in self._running.all():
                    self._stop_if_revoked(call)
            except OperationalError as error:
                self.due = True
                log_trouble("a revocation cannot be followed yet", error)

    def _leave_out(self, job: Job) -> None:
        for index in job.leave_out(*self._revoked.among(job.entry.batch, job.next, job.remaining)):
            self._reporter.ended(Done(job, index, REVOKED_CODE, 0.0, b""))

    def _stop_if_revoked(self, call: CurrentCall) -> None:
        final, revoked = self._revoked.among(call.batch, call.index, 1)
        if revoked:
            self._running.note_revoked(call)
        if not final or self._read_states(call.batch, call.index, 1)[0] != REVOKED_CODE:
            return
        self.stop(call, TaskRevokedError(f"call {call.id} was revoked while it ran", call.id))

    def stop(self, call: CurrentCall, reason: Exception) -> None:
        """Stop a call wherever it runs."""
        if not any(stopper.stop(call, reason) for stopper in self.stoppers):
            self._interrupts.doom(call, reason)
            signal.pthread_kill(threading.main_thread().ident or 0, ORDER)
