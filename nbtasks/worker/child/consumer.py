"""Take entries for one child and open them into jobs; look again at what is in hand after a lost connection."""

from __future__ import annotations

from collections.abc import Callable

from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.errors import OperationalError
from nbtasks.worker.jobs.entriesinhand import EntriesInHand, place
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.reporter import Reporter

from .brokerlines import BrokerLines
from .unpacking import Unpacking


class Consumer:
    """One child's source of jobs.

    Args:
        block_ms: longest wait for an entry.
    """

    def __init__(
        self,
        lines: BrokerLines,
        entries: EntriesInHand,
        reporter: Reporter,
        unpacking: Unpacking,
        block_ms: int,
    ) -> None:
        self._delivery = lines.taking
        self._server_now = lines.server_now
        self._entries = entries
        self._reporter = reporter
        self._unpacking = unpacking
        self._block_ms = block_ms
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
        known = self._entries.places()
        found = self._delivery.in_hand()
        self._audited = self._delivery.connections
        lost = [one for one in found if not (one in self._entries or place(one) in known)]
        return self.opened(self._delivery.living(lost))

    def no_longer_in_hand(self, jobs: list[Job]) -> list[Job]:
        """Return those jobs whose entries were given to others."""
        in_hand = {place(entry) for entry in self._delivery.in_hand()}
        return [job for job in jobs if place(job.entry) not in in_hand]

    def opened(self, entries: list[Entry]) -> list[Job]:
        """Return the jobs in entries that were taken; what cannot be opened is refused."""
        jobs: list[Job] = []
        for number, entry in enumerate(entries):
            self._entries.add(entry)
            try:
                job = self._unpacking.job(entry, self._make_sure)
            except OperationalError:
                # The next audit brings them again, unless they count as in hand.
                for late in [*(job.entry for job in jobs), *entries[number:]]:
                    self._entries.remove(late)
                raise
            if job is not None:
                jobs.append(job)
        return jobs

    def _make_sure(self) -> None:
        if not self.is_sure:
            self._delivery.prepare(self._server_now())
