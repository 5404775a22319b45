"""Fold the live record of a batch into what a card shows. Pure: reads the record, touches nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbtasks.client.batches.printed import copied
from nbtasks.core import states
from nbtasks.jupyter.cellnames import in_cells

from . import words
from .ending import Ending, ending_of
from .graph import GraphRow, graph_of, why_not_run
from .letters import MOST_LETTERED, letters_of
from .newest import NewestResults, NewResult
from .paceline import PaceLine, Spark
from .paint import Paint, painted
from .tracebacktext import readable

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run
    from nbtasks.client.batches.seen import Failure, Progress, Running
    from nbtasks.core.progressbar import ProgressBar

#: Of a line that was printed: its call, stream, text, colours, and how the call is named.
ShownLine = tuple[int, str, str, Paint, str]

RUNNING_ROWS = 4
FAILURE_GROUPS = 20
TRACEBACK_LENGTH = 8_000
MESSAGE_LENGTH = 500
OUTPUT_LINES = 60
LINE_LENGTH = 300
#: Characters of a call's name before each of its lines.
NAME_LENGTH = 24
#: Below this many finished calls no rate and no remaining time is told.
ENOUGH_TO_TELL = 5
#: Characters of an argument that is compared with those of other calls.
_MOST_COMPARED = 2_000


@dataclass(frozen=True)
class RunningRow:
    """A call that runs now."""

    index: int
    label: str
    worker: str
    started_at: float
    attempt: int
    #: None, or done and total (total None where it is unknown) and a message.
    progress: tuple[float, float | None, str] | None


@dataclass(frozen=True)
class FailureGroup:
    """Failures that look alike, told by the first of them."""

    type: str
    message: str
    count: int
    #: The first few calls that failed so, and their items.
    indexes: tuple[int, ...]
    labels: tuple[str, ...]
    attempts: int
    traceback: str


@dataclass(frozen=True)
class View:
    """What the card shows, the mosaic apart. Times are epoch seconds, spans are seconds."""

    id: str
    title: str
    #: It is a fan-out, even if of one call.
    is_many: bool
    n: int
    queue: str
    #: The state of the whole, under Celery's names.
    state: str
    stopping: bool
    done: bool
    counts: Mapping[str, int]
    #: Calls with results of earlier runs, and when the oldest of those was made.
    reused: int
    reused_from: float | None
    created_at: float
    ended_at: float | None
    #: Seconds between its ends and the repairs that came after.
    idle_s: float
    run_seconds: float
    #: Of many calls that have ended: how they ran, as far as known.
    ending: Ending | None
    #: Calls a second, when enough have finished to tell.
    rate: float | None
    remaining_s: float | None
    #: How the rate has been so far, for runs that are long enough.
    spark: Spark | None
    #: Why nothing runs, in one sentence.
    reason: str | None
    running: tuple[RunningRow, ...]
    #: Of a single call: what tqdm and others have on show.
    bars: tuple[ProgressBar, ...]
    failures: tuple[FailureGroup, ...]
    #: What its calls were given is known here, so that they can be submitted again.
    is_ours: bool
    #: Failures of which no details are kept.
    more_failures: int
    output: tuple[ShownLine, ...]
    #: Of many calls.
    newest: tuple[NewResult, ...]
    #: Of few calls: what stands in the square of each.
    letters: tuple[str, ...]
    #: Of a workflow: its steps.
    graph: tuple[GraphRow, ...]

    @property
    def elapsed_s(self) -> float:
        """Seconds from submit to end, repairs included; for a batch that goes on, 0."""
        return max(0.0, self.ended_at - self.created_at - self.idle_s) if self.ended_at else 0.0


class Board:
    """One batch's board; it remembers only the pace and what is dear to compute twice.

    Args:
        with_results: results are shown on it.
    """

    def __init__(self, batch: Run, title: str | None = None, *, with_results: bool = True) -> None:
        self._batch = batch
        self._title = title
        self._finish_rate = FinishRate()
        self._pace_line = PaceLine()
        self._grouped: tuple[tuple[int, int], tuple[FailureGroup, ...]] = ((0, 0), ())
        self._ending: tuple[float | None, Ending | None] | None = None
        self._names: dict[int, str] = {}
        self._letters: tuple[str, ...] = ()
        self._graph: tuple[GraphRow, ...] = ()
        self._newest = NewestResults() if with_results else None

    def show(self, batch: Run) -> None:
        """Show the same batch as another object."""
        self._batch = batch

    def fold(self, now: float, *, stopping: bool = False, reason: str | None = None) -> View:
        """Return the view at ``now`` (epoch seconds).

        Args:
            now: the time.
            stopping: somebody pressed Cancel, and the calls that run have not ended yet.
            reason: why nothing runs, where that is known.
        """
        batch = self._batch
        # Not batch.done, which is true some instructions before the last failure and output are in the record;
        # and before the counts, so that those of a batch that has ended are the last ones.
        done = batch.ended_at is not None
        counts = batch.counts()
        self._finish_rate.note(now, batch.finished_count)
        rate = None if done else self._finish_rate.rate
        if not done:
            self._pace_line.note(now, batch.finished_count)
        failures = self._failure_groups()
        return View(
            id=batch.id,
            title=words.one_line(self._title or batch.title, 120),
            is_many=batch.is_many,
            n=batch.n,
            queue=batch.queue,
            state=state_of(batch, counts, done=done),
            stopping=stopping and not done,
            done=done,
            counts=counts,
            reused=batch.output.reused.count,
            reused_from=batch.output.reused.made_at,
            created_at=batch.created_at,
            ended_at=batch.ended_at if done else None,
            idle_s=batch.repairs.idle_s if batch.repairs is not None else 0.0,
            run_seconds=batch.run_seconds,
            ending=self._how_it_went() if done and batch.is_many else None,
            rate=rate,
            spark=self._pace_line.spark() if batch.is_many else None,
            remaining_s=(batch.n - batch.finished_count) / rate if rate else None,
            reason=self._reason(reason),
            running=() if done else self._running_rows(),
            bars=tuple(batch.output.bars.get(0, ())) if not batch.is_many else (),
            failures=failures,
            is_ours=batch.parcel is not None,
            more_failures=self._more_failures(counts),
            output=self._output_lines(),
            newest=self._newest.of(batch, now) if self._newest is not None and batch.is_many else (),
            letters=self._letters_of_all(),
            graph=self._graph_of(batch),
        )

    def _graph_of(self, batch: Run) -> tuple[GraphRow, ...]:
        # Kept, for after the end the batch may know of no workflow any more.
        self._graph = graph_of(batch) or self._graph
        return self._graph

    def _reason(self, reason: str | None) -> str | None:
        problem = self._batch.problem
        return words.plain(str(problem), MESSAGE_LENGTH) if problem else reason or why_not_run(self._batch)

    def _how_it_went(self) -> Ending | None:
        # Once for each end: later the card holds no results any more.
        ended_at = self._batch.ended_at
        if self._ending is None or self._ending[0] != ended_at:
            self._ending = ended_at, ending_of(self._batch)
        return self._ending[1]

    def _more_failures(self, counts: Mapping[str, int]) -> int:
        shown = sum(group.count for group in self._grouped[1])
        return max(0, counts.get(states.FAILURE, 0) - shown)

    def _running_rows(self) -> tuple[RunningRow, ...]:
        batch = self._batch
        first = sorted(batch.running.copy().items())[:RUNNING_ROWS]
        return tuple(self._row(index, running, batch.progress.get(index)) for index, running in first)

    def _row(self, index: int, running: Running, progress: Progress | None) -> RunningRow:
        return RunningRow(
            index=index,
            label=words.one_line(self._batch.item_label(index), 80),
            worker=running.worker,
            started_at=running.started_at,
            attempt=running.attempt,
            progress=_progress(progress),
        )

    def _output_lines(self) -> tuple[ShownLine, ...]:
        """Return the last lines of output, each short enough to show."""
        batch = self._batch
        last = copied(batch.output)[-OUTPUT_LINES:]
        # Kept, for after the end the batch may know of no arguments any more.
        self._names = {line.index: self._names.get(line.index) or self._name(line.index) for line in last}
        return tuple(
            (line.index, line.stream, *painted(in_cells(line.text), LINE_LENGTH), self._names[line.index])
            for line in last
        )

    def _letters_of_all(self) -> tuple[str, ...]:
        batch = self._batch
        few = batch.is_many and batch.n <= MOST_LETTERED and not hasattr(batch, "workflow")
        if len(self._letters) != (batch.n if few else 0):
            self._letters = letters_of([_in_full(batch, index) for index in range(batch.n)]) if few else ()
        return self._letters

    def _name(self, index: int) -> str:
        if not self._batch.is_many:
            return ""
        label = words.one_line(self._batch.item_label(index), 200)
        return words.which_call(index, words.in_short(label, NAME_LENGTH))

    def _failure_groups(self) -> tuple[FailureGroup, ...]:
        failures = self._batch.failures.copy()
        repairs = self._batch.repairs
        known = len(failures), 0 if repairs is None else repairs.begun
        if known != self._grouped[0]:
            self._grouped = known, group_failures(failures.values(), self._batch.item_label)
        return self._grouped[1]


def state_of(batch: Run, counts: Mapping[str, int], *, done: bool) -> str:
    """Return the one state that says most about a batch."""
    return states.FAILURE if batch.problem else overall_state(counts, done=done)


def overall_state(counts: Mapping[str, int], *, done: bool) -> str:
    """Return the one state that says most about all calls."""
    if done:
        ends = (states.FAILURE, states.REVOKED)
        return next((state for state in ends if counts.get(state)), states.SUCCESS)
    if counts.get(states.STARTED) or any(counts.get(state) for state in states.READY_STATES):
        return states.STARTED
    return states.RETRY if counts.get(states.RETRY) else states.PENDING


#: Calls of a group of failures that are named.
_MOST_NAMED = 4


@dataclass
class _Group:
    first: Failure
    indexes: list[int] = field(default_factory=list)


def _in_full(batch: Run, index: int) -> str:
    """Return the arguments of a call: in a shortened text, what differs may be missing."""
    if batch.parcel is None:
        return batch.item_label(index)
    return ", ".join(value for _, value in batch.parcel.arguments(index, _MOST_COMPARED))


def group_failures(failures: Iterable[Failure], item_label: Callable[[int], str]) -> tuple[FailureGroup, ...]:
    """Group by exception type and by message, its numbers and quoted parts apart; biggest group first."""
    groups: dict[tuple[str, str], _Group] = {}
    for failure in failures:
        key = failure.type, _shape(failure.message)
        groups.setdefault(key, _Group(failure)).indexes.append(failure.index)
    ordered = sorted(groups.values(), key=lambda group: -len(group.indexes))
    return tuple(
        FailureGroup(
            type=words.plain(group.first.type, 120),
            message=words.plain(group.first.message, MESSAGE_LENGTH),
            count=len(group.indexes),
            indexes=tuple(group.indexes[:_MOST_NAMED]),
            labels=tuple(words.one_line(item_label(index), 80) for index in group.indexes[:_MOST_NAMED]),
            attempts=group.first.attempts,
            traceback=_end_of(readable(words.plain(group.first.traceback or "", 200_000))),
        )
        for group in ordered[:FAILURE_GROUPS]
    )


def _shape(message: str) -> str:
    """Return the message without what differs from call to call."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|0x[0-9a-fA-F]+|\d+", "#", message[:MESSAGE_LENGTH])


def _end_of(traceback: str) -> str:
    # The end names the line that failed, so that is what stays of a very long one.
    return traceback if len(traceback) <= TRACEBACK_LENGTH else "…\n" + traceback[-TRACEBACK_LENGTH:]


def _progress(progress: Progress | None) -> tuple[float, float | None, str] | None:
    if progress is None:
        return None
    message = progress.message
    if progress.state not in {"", "PROGRESS", message}:
        message = f"{progress.state} · {message}" if message else progress.state
    return progress.done, progress.total, words.one_line(message, 80)


class FinishRate:
    """How fast calls finish: the mean rate of the last seconds, recent ones weighing more."""

    WINDOW_S = 6.0
    #: Seconds to look before anything is told.
    SHORTEST_S = 0.3

    def __init__(self) -> None:
        self._at: float | None = None
        self._finished = 0
        self._sum = 0.0
        self._weight = 0.0

    def note(self, now: float, finished: int) -> None:
        """Take in that ``finished`` calls have ended by ``now``."""
        if self._at is None or finished == 0 or finished < self._finished:
            self._at, self._finished = now, finished
            return
        step = now - self._at
        if step <= 0:
            return
        fade = math.exp(-step / self.WINDOW_S)
        self._sum = self._sum * fade + (finished - self._finished)
        self._weight = self._weight * fade + step
        self._at, self._finished = now, finished

    @property
    def rate(self) -> float | None:
        """Calls a second; None while too few have ended to tell."""
        if self._finished < ENOUGH_TO_TELL or self._weight < self.SHORTEST_S or self._sum <= 0:
            return None
        return self._sum / self._weight
