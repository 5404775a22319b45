"""What a list of runs says: a row for each run, and all of them in one line. The same for page and saved form. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.core import states
from nbtasks.jupyter.card import words
from nbtasks.jupyter.card.board import overall_state, state_of
from nbtasks.jupyter.card.looks import LOOK_OF, PARTS
from nbtasks.jupyter.card.said import Bar, Count
from nbtasks.jupyter.card.statesaid import dot_said, state_said

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

#: Rows that are shown; of more runs, those that matter most.
MOST_ROWS = 200
_MOST_TITLE = 120
_BUSY = (states.STARTED, states.RETRY)
ATTACH_HINT = "`%tasks attach` brings back what goes on."


@dataclass(frozen=True)
class RowOfRun:
    """One run. ``key`` is its number in the list."""

    key: str
    title: str
    state: str
    dot: str
    bar: Bar
    #: ``18 of 20``, and ``2 failed``.
    ended: str
    bad: str
    created_at: float
    #: How long it took; empty before the end.
    took: str
    #: Whether a clock runs: it has begun and goes on.
    runs: bool


@dataclass(frozen=True)
class ListSaid:
    """What the list says, its rows apart."""

    title: str
    state: str
    dot: str
    bar: Bar
    counts: tuple[Count, ...]
    created_at: float
    took: str
    done: bool
    can_retry: bool
    #: What is said of runs that have no row.
    more: str
    #: All of it in one sentence, for screen readers.
    sentence: str
    attach_hint: str = ATTACH_HINT


def list_said(runs: Sequence[Run], stopping: bool = False) -> tuple[ListSaid, tuple[RowOfRun, ...]]:
    """Return what is said of all, and the rows."""
    counted = [run.counts() for run in runs]
    whole: Counter[str] = Counter()
    for counts in counted:
        whole.update(counts)
    shown = _that_matter(runs, counted)
    rows = tuple(_row(number, runs[number], counted[number]) for number in shown)
    left_out = len(runs) - len(rows)
    return _whole(runs, whole, left_out, stopping), rows


def _that_matter(runs: Sequence[Run], counted: Sequence[Mapping[str, int]]) -> list[int]:
    """Return the numbers of the runs that get a row, in their order: failed ones before those that run, and so on."""
    if len(runs) <= MOST_ROWS:
        return list(range(len(runs)))

    def rank(number: int) -> tuple[int, int]:
        run, counts = runs[number], counted[number]
        return 0 if run.failed_count else 1 if counts[states.STARTED] else 2 if not run.done else 3, number

    return sorted(sorted(range(len(runs)), key=rank)[:MOST_ROWS])


def _row(number: int, run: Run, counts: Mapping[str, int]) -> RowOfRun:
    ended_at = run.ended_at
    done = ended_at is not None
    state = state_of(run, counts, done=done)
    return RowOfRun(
        key=str(number),
        title=words.one_line(run.title, _MOST_TITLE),
        state=state_said(state, counts, run.n, done=done),
        dot=dot_said(state, counts, run.n, done=done),
        bar=_bar(counts, run.n),
        ended=f"{_ended(counts):,} of {run.n:,}",
        bad=_bad(counts),
        created_at=run.created_at,
        took=words.duration(max(0.0, ended_at - _idle_s(run) - run.created_at))
        if ended_at is not None
        else "",
        runs=not done and bool(counts[states.STARTED] or run.finished_count),
    )


def _whole(runs: Sequence[Run], counts: Mapping[str, int], left_out: int, stopping: bool) -> ListSaid:
    ends = [run.ended_at for run in runs]
    done = all(end is not None for end in ends)
    n = sum(run.n for run in runs)
    state = overall_state(counts, done=done)
    if any(run.problem for run in runs):
        state = states.FAILURE
    began = min(run.created_at for run in runs)
    took = max((end or 0.0) - _idle_s(run) for end, run in zip(ends, runs, strict=True)) - began
    said = "stopping" if stopping and not done else state_said(state, counts, n, done=done)
    title = f"{len(runs):,} runs, {words.calls(n)}"
    return ListSaid(
        title=title,
        state=said,
        dot=dot_said(state, counts, n, done=done),
        bar=_bar(counts, n),
        counts=_counts(counts),
        created_at=began,
        took=words.duration(max(0.0, took)) if done else "",
        done=done,
        can_retry=bool(counts.get(states.FAILURE)),
        more=f"and {left_out:,} more run{'' if left_out == 1 else 's'}" if left_out else "",
        sentence=f"{title}: {said}, {_ended(counts):,} ended" + (f", {_bad(counts)}" if _bad(counts) else ""),
    )


def _idle_s(run: Run) -> float:
    """Return the seconds from an end to a retry: its card does not count them either."""
    return 0.0 if run.repairs is None else run.repairs.idle_s


def _ended(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in states.READY_STATES)


def _bad(counts: Mapping[str, int]) -> str:
    ends = (states.FAILURE, states.REVOKED)
    return ", ".join(f"{counts[end]:,} {LOOK_OF[end].word}" for end in ends if counts.get(end))


def _bar(counts: Mapping[str, int], n: int) -> Bar:
    parts = tuple((look.state, counts.get(look.state, 0) / max(1, n)) for look in PARTS)
    return Bar(parts, slides=False, value=_ended(counts), most=n, busy=_BUSY)


def _counts(counts: Mapping[str, int]) -> tuple[Count, ...]:
    waiting = counts.get(states.PENDING, 0) + counts.get(states.RECEIVED, 0)
    shown = [(look, counts.get(look.state, 0)) for look in PARTS] + [(LOOK_OF[states.PENDING], waiting)]
    return tuple(
        Count(look.state, f"{count:,}", look.word)
        for look, count in shown
        if count or look.state == states.SUCCESS
    )
