"""What a card says, in words: the same for the page and for the saved form. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbtasks.core import states
from nbtasks.core.appearance import REUSED, WORDS

from . import words
from .barsaid import BarSaid, bar_said
from .board import FailureGroup, RunningRow, View
from .ending import end_said
from .graph import GraphRow
from .looks import LOOK_OF, PARTS, StateLook
from .newest import MOST_RESULTS
from .statesaid import dot_said, state_said

_NOT_OURS = "only the session that has submitted a call knows its arguments."


@dataclass(frozen=True)
class Count:
    """How many calls are in a state."""

    state: str
    number: str
    word: str


@dataclass(frozen=True)
class Bar:
    """The bar: state and share of each part; or it slides, because nobody knows how far the call is."""

    parts: tuple[tuple[str, float], ...]
    slides: bool
    #: The same for screen readers: so many of so many.
    value: float
    most: float
    #: States whose part is work in hand: nothing of it is done yet.
    busy: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowSaid:
    """A call that runs."""

    what: str
    label: str
    far: str
    #: How much of it is done, from 0 to 1; None where that is not known.
    share: float | None
    worker: str
    started_at: float


@dataclass(frozen=True)
class FailureSaid:
    """Failures that look alike."""

    times: str
    type: str
    message: str
    which: str
    details: str
    #: It is all that there is to see.
    open: bool


@dataclass(frozen=True)
class Said:
    """What a card says, mosaic and output apart."""

    many: bool
    #: Celery's word, what stands on the card, and the state whose colour the dot has.
    state: str
    shown_state: str
    dot: str
    done: bool
    stopping: bool
    title: str
    about: str
    #: How long it took; empty before the end.
    took: str
    #: From when on the time is told.
    created_at: float
    bar: Bar
    counts: tuple[Count, ...]
    #: How fast it goes; at the end, how it went.
    pace: str
    reason: str | None
    #: What stands in the squares of few calls; of many calls they are too small.
    letters: tuple[str, ...]
    #: Of a workflow: its steps; and whether each of its calls has a square in these already.
    graph: tuple[GraphRow, ...]
    in_graph: bool
    #: What the newest results are called.
    newest: str
    rows: tuple[RowSaid, ...]
    bars: tuple[BarSaid, ...]
    #: The button that has calls run again; empty where there is none.
    retry: str
    more_failures: str
    #: How to go on after the end, in one sentence; and how where the card goes on without the kernel.
    hint: str
    attach_hint: str
    #: All of it in one sentence, for screen readers.
    sentence: str


def said(view: View) -> Said:
    """Return what the card of ``view`` says."""
    return Said(
        many=view.is_many,
        state=view.state,
        shown_state=shown_state(view),
        dot=dot_said(view.state, view.counts, view.n, done=view.done),
        done=view.done,
        stopping=view.stopping,
        title=view.title,
        about=_about(view),
        took=_took(view),
        created_at=view.created_at + view.idle_s,
        bar=_bar(view),
        counts=_counts(view) if view.is_many else (),
        pace=_pace(view),
        reason=view.reason,
        letters=view.letters,
        graph=view.graph,
        in_graph=_in_graph(view),
        newest=_newest(view),
        rows=tuple(_row(row, many=view.is_many, bars=bool(view.bars)) for row in view.running),
        bars=tuple(map(bar_said, view.bars)),
        retry=_retry(view),
        more_failures=f"and {view.more_failures:,} more failures" if view.more_failures else "",
        hint=_hint(view),
        attach_hint=attach_hint(view.id),
        sentence=_sentence(view),
    )


def failures_said(view: View) -> tuple[FailureSaid, ...]:
    """Return what the card says of failures."""
    return tuple(_failure(group, many=view.is_many) for group in view.failures)


def text_said(view: View) -> str:
    """Return ``running, 120 of 200 done, 2 failed, 24/s`` or, at the end, ``done`` and how it went."""
    told = [shown_state(view)]
    if view.done and view.is_many:
        return ", ".join([*told, _end(view), *([_reused(view)] if view.reused else [])])
    if view.is_many:
        told.append(f"{view.counts.get(states.SUCCESS, 0):,} of {view.n:,} done")
        ends = (states.FAILURE, states.REVOKED, states.RETRY)
        told += [f"{view.counts[end]:,} {LOOK_OF[end].word}" for end in ends if view.counts.get(end)]
    if view.reused:
        told.append(_reused(view))
    if view.queue != "default":
        told.append(f"queue {view.queue}")
    if view.done:
        told.append(words.duration(view.elapsed_s))
    elif view.rate:
        told.append(words.rate(view.rate))
    return ", ".join(told)


def shown_state(view: View) -> str:
    """Return the state in words."""
    return "stopping" if view.stopping else state_said(view.state, view.counts, view.n, done=view.done)


def _about(view: View) -> str:
    parts = [words.calls(view.n)] if view.is_many else []
    if view.queue != "default":
        parts.append(f"queue {view.queue}")
    return " · ".join([*parts, words.short_id(view.id), words.moment(view.created_at)])


def _took(view: View) -> str:
    return words.duration(view.elapsed_s) if view.done else ""


def _in_graph(view: View) -> bool:
    shown = sum(max(1, len(row.squares)) for row in view.graph if row.call >= 0 and not row.parts)
    return bool(view.graph) and shown == view.n


def _bar(view: View) -> Bar:
    progress = view.running[0].progress if view.running and not view.is_many else None
    if progress is not None and progress[1]:
        parts: tuple[tuple[str, float], ...] = ((states.STARTED, _share(progress) or 0.0),)
        return Bar(parts, slides=False, value=progress[0], most=progress[1])
    ended = sum(view.counts.get(state, 0) for state in states.READY_STATES)
    if not view.is_many and view.state == states.STARTED:
        return Bar((), slides=True, value=ended, most=view.n)
    parts = tuple((look.state, view.counts.get(look.state, 0) / max(1, view.n)) for look in PARTS)
    busy = (states.STARTED, states.RETRY)
    return Bar(parts, slides=False, value=ended, most=view.n, busy=busy)


def _counts(view: View) -> tuple[Count, ...]:
    waiting = view.counts.get(states.PENDING, 0) + view.counts.get(states.RECEIVED, 0)
    counts: list[tuple[StateLook, int]] = [(look, view.counts.get(look.state, 0)) for look in PARTS]
    counts.append((LOOK_OF[states.PENDING], waiting))
    # "done" always stands, so that the line does not jump when the first call ends.
    shown = [
        Count(look.state, f"{count:,}", look.word)
        for look, count in counts
        if count or look.state == states.SUCCESS
    ]
    if view.reused:
        # They are among those that are done, which come first.
        shown.insert(1, Count(REUSED, f"{view.reused:,}", "of them reused"))
    return tuple(shown)


def _pace(view: View) -> str:
    if view.done:
        return _end(view) if view.is_many else ""
    parts = [words.rate(view.rate)] if view.rate else []
    if view.remaining_s is not None:
        parts.append(words.remaining(view.remaining_s))
    return " · ".join(parts)


def _end(view: View) -> str:
    return end_said(view.n, view.elapsed_s, view.run_seconds, view.counts, view.ending)


def attach_hint(batch_id: str) -> str:
    """Return how to see the rest where a card shows the beginning."""
    return f"%tasks attach {words.short_id(batch_id)} shows how it went on."


def _hint(view: View) -> str:
    told = []
    if view.reused:
        told.append(f"{_reused(view).capitalize()}; --rerun or rerun=True runs all of them.")
    if view.done and (bad := _retriable(view)):
        what = f"the {' and '.join(bad)} calls" if view.is_many else "it"
        retry = f"%tasks retry {words.short_id(view.id)} runs {what} again."
        told.append(retry if view.is_ours else f"To run {what} again, run the cell: {_NOT_OURS}")
    return " ".join(told)


def _retry(view: View) -> str:
    bad = _retriable(view) if view.is_ours else []
    if not view.is_many:
        return "Retry" if bad else ""
    return f"Retry {' and '.join(bad)}" if bad else ""


def _retriable(view: View) -> list[str]:
    """Return how calls have ended that can be submitted again."""
    kinds = [states.FAILURE]
    if view.done and not view.graph:
        # What was cancelled of a run that goes on is being stopped; of a workflow it was not submitted by itself.
        kinds.append(states.REVOKED)
    return [WORDS[kind] for kind in kinds if view.counts.get(kind)]


def _reused(view: View) -> str:
    """Return ``12 of 120 reused from 10:32``."""
    which = f"{view.reused:,} of {view.n:,} " if view.is_many else ""
    since = f" from {words.clock(view.reused_from, view.created_at)}" if view.reused_from is not None else ""
    return f"{which}reused{since}"


def _row(row: RunningRow, *, many: bool, bars: bool) -> RowSaid:
    parts = []
    # A bar says how far it is by itself.
    if row.progress is not None and not bars:
        done, total, message = row.progress
        parts = [f"{words.amount(done)} / {words.amount(total)}" if total else words.amount(done), message]
    if row.attempt > 1:
        parts.append(f"attempt {row.attempt}")
    return RowSaid(
        what=words.which_call(row.index, row.label) if many else "",
        label=row.label,
        far=" · ".join(part for part in parts if part),
        share=_share(row.progress) if many else None,
        worker=row.worker,
        started_at=row.started_at,
    )


def _share(progress: tuple[float, float | None, str] | None) -> float | None:
    if progress is None or not progress[1]:
        return None
    share = progress[0] / progress[1]
    return max(0.0, min(1.0, share)) if math.isfinite(share) else None


def _failure(group: FailureGroup, *, many: bool) -> FailureSaid:
    attempts = f"\n(attempt {group.attempts})" if group.attempts > 1 else ""
    return FailureSaid(
        times=f"{group.count:,} ×" if many else "",
        type=group.type,
        message=group.message.partition("\n")[0],
        which=_which_failed(group) if many else "",
        details=(group.traceback or group.message) + attempts,
        open=not many,
    )


def _which_failed(group: FailureGroup) -> str:
    named = ", ".join(map(words.which_call, group.indexes, group.labels))
    return f"{named} …" if group.count > len(group.indexes) else named


def _newest(view: View) -> str:
    every = view.n <= MOST_RESULTS and len(view.newest) >= view.counts.get(states.SUCCESS, 0)
    return "results" if every else "newest results"


def _sentence(view: View) -> str:
    if view.done and view.is_many:
        return f"{view.title}: {shown_state(view)}; {_end(view)}"
    if not view.is_many:
        return f"{view.title}: {shown_state(view)}"
    told = [f"{view.counts[look.state]:,} {look.word}" for look in PARTS if view.counts.get(look.state)]
    return f"{view.title}: {', '.join(told)} of {view.n:,}" if told else f"{view.title}: {shown_state(view)}"
