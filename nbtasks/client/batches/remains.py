"""What is remembered of a batch that has ended and that nobody holds: enough for a list, not what it was about."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from nbtasks.core import states as st

from .batchengine import BatchEngine
from .ledger import Ledger
from .provenance import Provenance


@dataclass(frozen=True)
class Remains:
    """A batch without arguments, results, output and tracebacks. Times are local epoch seconds."""

    id: str
    origin: Provenance
    engine: BatchEngine
    n: int
    #: Number of calls in each state that is final, by its code.
    counts: dict[int, int]
    created_at: float
    ended_at: float | None
    run_seconds: float

    @classmethod
    def of(cls, batch: Ledger) -> Remains:
        """Return what is remembered of a batch."""
        counts = {code: batch.states.count(code) for code in range(st.FIRST_READY_CODE, len(st.NAMES))}
        return cls(
            batch.id,
            batch.origin,
            batch.engine,
            batch.n,
            counts,
            batch.created_at,
            batch.ended_at,
            batch.run_seconds,
        )

    def shown(self) -> Ledger:
        """Return a batch to be listed; which call had which state is not known any more."""
        ended = b"".join(bytes([code]) * count for code, count in self.counts.items())
        batch = Ledger(self.id, self.n, self.origin, self.engine, created_at=self.created_at)
        batch.note_past(ended, self.ended_at, self.run_seconds)
        return batch


class Listed:
    """A batch on the list of what was submitted: itself as long as it runs, or somebody has a use for it.

    What has failed or was revoked is kept as it is, so that it can be submitted again, until it is forgotten. Results
    are kept for a while, without arguments: a server that loses its last second is told them anew.
    """

    def __init__(self, batch: Ledger) -> None:
        self.id = batch.id
        self._there: Ledger | None = batch
        self._known = weakref.ref(batch)
        self._results: Ledger | None = None
        self._remains: Remains | None = None

    def let_go(self, forgotten: bool = False) -> None:
        """Hold a batch that has ended no longer than others do.

        Args:
            forgotten: its results were dropped on purpose.
        """
        batch = self._there or self._known()
        if batch is None or not batch.done or batch.growing:
            self._results = None if forgotten else self._results
            return
        if forgotten or not (batch.failed_count or batch.revoked_count):
            self._remains = Remains.of(batch)
            self._results = None if forgotten else batch.without_arguments()
            self._there = None

    def let_results_go(self, before: float) -> None:
        """Keep no results of a batch that had ended before a moment (local epoch seconds)."""
        if self._results is not None and (self._results.ended_at or 0.0) < before:
            self._results = None

    @property
    def complete(self) -> Ledger | None:
        """The batch with its results, as long as they are known."""
        return self._there or self._known() or self._results

    @property
    def batch(self) -> Ledger:
        """The batch, or what is remembered of it."""
        batch = self.complete
        if batch is None:
            assert self._remains is not None
            batch = self._remains.shown()
        return batch
