"""The calls that a child runs, and what is to be told while they do: that they have started, progress, output."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nbtasks.core.context import CurrentCall, OwnState
from nbtasks.core.events import CallEvent, Progressed, Started
from nbtasks.wire.metas import progressed
from nbtasks.worker.isolation.news import news_of

from .bell import Bell
from .ended import Ended
from .job import Job

#: A call that runs this long is reported as started; shorter ones only by their result.
_STARTED_AFTER_S = 0.05

#: Seconds between two notes of a call's progress in the stream of events.
_PROGRESS_EVERY_S = 1.0

#: A call that runs, since when (monotonic), and the job that it is of. Made for each, so a tuple.
_Running = tuple[CurrentCall, float, Job]
_Key = tuple[str, int]


@dataclass(slots=True)
class _Notes:
    """What is known of a running call that takes longer than most."""

    told: bool = False
    #: It was revoked, and may run on.
    revoked: bool = False
    progress: Progressed | None = None
    #: It has reported progress by itself.
    progressed: bool = False
    #: Those who look on were told of its progress last then (monotonic), and of this state.
    noted_at: float = -math.inf
    noted_state: str = ""


class RunningCalls:
    """Told by what runs calls; any thread may ask.

    Args:
        bell: rung when the first one begins after a while.
        on_started: called with one that is told as started, on the thread that tells.
    """

    def __init__(self, bell: Bell, on_started: Callable[[CurrentCall], None]) -> None:
        self._bell = bell
        self._on_started = on_started
        self._running: dict[_Key, _Running] = {}
        self._notes: dict[_Key, _Notes] = {}
        #: Calls whose own state the broker may have.
        self._named: set[_Key] = set()

    def began(self, call: CurrentCall, job: Job) -> None:
        """A call of a job starts."""
        self._running[call.batch, call.index] = call, time.monotonic(), job
        if self._bell.is_needed:
            self._bell.ring()

    def ended(self, batch: str, index: int) -> float:
        """A call is over; returns when it began (monotonic), nan where it never ran."""
        key = batch, index
        running = self._running.pop(key, None)
        # After that: who notes something now sees that it does not run.
        if self._notes:
            self._notes.pop(key, None)
        return math.nan if running is None else running[1]

    def note_progress(
        self,
        call: CurrentCall,
        done: float,
        total: float | None,
        message: str,
        own_state: OwnState | None = None,
    ) -> None:
        """A call reports how far it is."""
        notes = self._notes_of(call)
        if notes is not None:
            notes.progress = progressed(call, done, total, message, own_state)

    def note_revoked(self, call: CurrentCall) -> None:
        """A running call was revoked; it may end, and is not run again."""
        notes = self._notes_of(call)
        if notes is not None:
            notes.revoked = True

    def was_revoked(self, call: CurrentCall) -> bool:
        """Whether a call that runs was revoked meanwhile."""
        notes = self._notes.get((call.batch, call.index))
        return notes is not None and notes.revoked

    def _notes_of(self, call: CurrentCall) -> _Notes | None:
        """Return the notes on a call, None where it does not run any more."""
        key = call.batch, call.index
        notes = self._notes.setdefault(key, _Notes())
        if key in self._running:
            return notes
        self._notes.pop(key, None)
        return None

    def were_named(self, ended: Iterable[Ended]) -> list[_Key]:
        """Return those calls, which have ended, whose own state the broker may have; it is asked once."""
        if not self._named:
            return []
        found = self._named.intersection((item.job.entry.batch, item.index) for item in ended)
        self._named -= found
        return list(found)

    def to_be_noted(self, batch: str, event: Started | Progressed) -> Job | None:
        """Return the job of a call that runs, for something that it tells.

        None where that is not to be noted for those who look on: they hear of its progress once a second, unless its
        state is another one.
        """
        key = batch, event.index
        running, notes = self._running.get(key), self._notes.get(key)
        if running is None or notes is None:
            return None
        if isinstance(event, Progressed):
            now = time.monotonic()
            if event.state == notes.noted_state and now - notes.noted_at < _PROGRESS_EVERY_S:
                return None
            notes.noted_state, notes.noted_at = event.state, now
        return running[2]

    def __bool__(self) -> bool:
        return bool(self._running)

    def all(self) -> list[tuple[CurrentCall, float]]:
        """Return them, and since when (monotonic) each runs."""
        return [(call, since) for call, since, *_ in list(self._running.values())]

    def news(self) -> dict[tuple[str, str], list[CallEvent]]:
        """Return what is new since the last time, by batch and id of the key that it was signed with."""
        events: dict[tuple[str, str], list[CallEvent]] = {}
        for (batch, _), (call, since, job) in list(self._running.items()):
            try:
                news = self._news_of(call, since)
            except Exception:
                # A task can reach its own record, and put anything there.
                call.output = None
                continue
            if news:
                events.setdefault((batch, job.key_id), []).extend(news)
        return events

    def _news_of(self, call: CurrentCall, since: float) -> list[CallEvent]:
        events: list[CallEvent] = []
        notes, now = self._notes_of(call), time.monotonic()
        if notes is None:
            return events
        if not notes.told and now - since >= _STARTED_AFTER_S:
            notes.told = True
            events.append(Started(call.index, round(now - since, 3), call.attempt))
            with contextlib.suppress(Exception):
                # What it was called with may be changed by the call while it is read.
                self._on_started(call)
        if notes.progress is not None:
            told, notes.progress, notes.progressed = notes.progress, None, True
            if told.state:
                self._named.add((call.batch, call.index))
            events.append(told)
        if call.output is not None:
            events += news_of(call, progressed=notes.progressed)
        return events
