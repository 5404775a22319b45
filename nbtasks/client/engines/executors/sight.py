"""What an engine sees of calls that run in threads of its process: that they run, how far they are, what they print."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nbtasks.client.batches.ledger import Ledger
from nbtasks.core.context import CurrentCall, OwnState
from nbtasks.core.events import CallEvent, Progressed, Started, Wrote
from nbtasks.core.ranges import runs
from nbtasks.core.states import FIRST_READY_CODE, STARTED_CODE
from nbtasks.wire.metas import progressed

from .printing import Paper

#: A call that runs this long is reported as started; shorter ones only by their result.
_STARTED_AFTER_S = 0.05


@dataclass
class _Seen:
    """A call that runs."""

    call: CurrentCall
    began_at: float
    told: bool = False
    progress: Progressed | None = None


class Sight:
    """Of one engine.

    Args:
        ledger: returns a batch that has not ended, by its id.

    Attributes:
        sees_all: the executor's workers are threads of this process.
        ended_count: calls that have ended here.
    """

    def __init__(self, ledger: Callable[[str], Ledger | None]) -> None:
        self.sees_all = False
        self.ended_count = 0
        self._ledger = ledger
        self._running: dict[tuple[str, int], _Seen] = {}
        self._lock = threading.Lock()

    # -- told by those who run calls

    def begins(self, call: CurrentCall) -> bool:
        """Return whether the call is still to be run."""
        batch = self._ledger(call.batch)
        with self._lock:
            self.sees_all = True
            if batch is not None and batch.states[call.index] >= FIRST_READY_CODE:
                return False
            self._running[call.batch, call.index] = _Seen(call, time.time())
            return True

    def reports(
        self,
        call: CurrentCall,
        done: float,
        total: float | None,
        message: str,
        own_state: OwnState | None = None,
    ) -> None:
        """Note how far a call is."""
        seen = self._running.get((call.batch, call.index))
        if seen is not None:
            seen.progress = progressed(call, done, total, message, own_state)

    def ended(self, call: CurrentCall) -> None:
        """Note that a call does not run any more."""
        with self._lock:
            self.ended_count += 1
            self._running.pop((call.batch, call.index), None)

    # -- for the engine

    def sees(self, call: CurrentCall) -> bool:
        """Whether a call runs here."""
        seen = self._running.get((call.batch, call.index))
        return seen is not None and seen.call is call

    def without_begun(
        self, batch: Ledger, handed_over: Iterable[int], act: Callable[[list[tuple[int, int]]], None]
    ) -> None:
        """Act on those calls that have not begun, where that is known, as (first, count); none begins meanwhile.

        Args:
            handed_over: calls that the executor has.
        """
        with self._lock:
            waiting = [
                index
                for index in handed_over
                if self.sees_all
                and batch.states[index] < FIRST_READY_CODE
                and (batch.id, index) not in self._running
            ]
            act(runs(waiting))

    def tell(self) -> bool:
        """Tell the ledgers what is new; returns whether something is."""
        with self._lock:
            running = list(self._running.values())
        is_news = False
        for seen in running:
            batch = self._ledger(seen.call.batch)
            if batch is None:
                continue
            for event in _news_of(seen):
                batch.apply_event(seen.call.worker, event)
                is_news = True
        return is_news

    def note_begun(self, batch: Ledger, index: int, attempt: int, worker: str) -> bool:
        """Take an executor's word that a call runs elsewhere; returns whether that is new."""
        is_news = batch.states[index] < STARTED_CODE
        if is_news:
            batch.apply_event(worker, Started(index, 0.0, attempt))
        return is_news


def _news_of(seen: _Seen) -> Iterator[CallEvent]:
    call, ran_s = seen.call, time.time() - seen.began_at
    if not seen.told and ran_s >= _STARTED_AFTER_S:
        seen.told = True
        yield Started(call.index, ran_s, call.attempt)
    progress, seen.progress = seen.progress, None
    if progress is not None:
        yield progress
    if type(call.output) is Paper:
        news, printed = call.output.news()
        if news:
            yield Wrote(call.index, news, printed)
