"""What a timeline shows: a lane for each child, in it the time of each call, or of many short ones together. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nbtasks.core import states as st

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run
    from nbtasks.wire.record import Record

#: Rows of one lane, for calls that run side by side in a child, and lanes; the rest is drawn over the last one.
MOST_ROWS = 8
MOST_LANES = 64
#: Calls that begin so much before the end of another have not run side by side: clocks tell no less.
_TOGETHER_S = 0.002
#: Where several calls are drawn as one, states of a higher number than most of them have are marked; by state code.
_QUIET_FIRST = (st.PENDING, st.RECEIVED, st.SUCCESS, st.STARTED, st.RETRY, st.REVOKED, st.FAILURE)
_LEAST_MARK = 2
_LOUDNESS = tuple(_QUIET_FIRST.index(name) for name in st.NAMES)


@dataclass(frozen=True)
class Span:
    """The time of one attempt, or of ``count`` short ones in a row.

    Attributes:
        lane, row: where it is drawn.
        waits_from: since when it was waited for, as far as nothing else stands there; None where that is not shown.
        state: of most of its calls.
        first: the index of its call; of several, of one whose state is the loudest.
        others: the other states of its calls, the loudest first, and how many have each.
    """

    began_at: float
    ended_at: float
    state: str
    first: int
    count: int = 1
    lane: int = 0
    row: int = 0
    waits_from: float | None = None
    others: tuple[tuple[str, int], ...] = ()

    def counts(self) -> dict[str, int]:
        """Return how many of its calls have each state, the most frequent one first."""
        return {self.state: self.count - sum(n for _, n in self.others), **dict(self.others)}

    def marks(self, side: int) -> list[tuple[str, int]]:
        """Return what is drawn over the bar from above: states louder than that of most calls, and pixels of height.

        Args:
            side: pixels, the height of the bar. Each mark has its share of it, and is high enough to be seen.
        """
        louder = [(state, n) for state, n in self.others if _loudness(state) > _loudness(self.state)]
        return [(state, max(_LEAST_MARK, round(side * n / self.count))) for state, n in louder]


@dataclass(frozen=True)
class Lane:
    """One child; ``rows`` is how many calls it ran at once, at most."""

    name: str
    rows: int


@dataclass(frozen=True)
class Spans:
    """What is shown of a batch. Times are local epoch seconds.

    Attributes:
        began_at, ended_at: of the whole batch; if it goes on, it ends now.
        hidden: calls that ran on children for which there is no lane.
    """

    began_at: float
    ended_at: float
    lanes: tuple[Lane, ...]
    spans: tuple[Span, ...]
    hidden: int = 0


_Key = tuple[str, int]


def spans_of(batch: Run, now: float, window: tuple[float, float] | None = None, columns: int = 800) -> Spans:
    """Return what a timeline shows.

    Args:
        now: epoch seconds.
        window: the part of the time that is shown; all of it if None.
        columns: pixels that it is drawn in; calls that take less than one are put together.
    """
    whole = batch.created_at, max(batch.ended_at or now, batch.created_at + 1e-3)
    begin, end = window or whole
    least_s = max(1e-9, (end - begin) / max(1, columns))
    found: dict[_Key, list[Span]] = {}
    for key, span in _all(batch, now, least_s):
        if span.ended_at >= begin and span.began_at <= end:
            found.setdefault(key, []).append(span)
    keys = sorted(found)
    spans: list[Span] = []
    lanes = []
    queued_at = max(batch.created_at, batch.origin.eta_at or 0.0)
    for lane, key in enumerate(keys[:MOST_LANES]):
        placed, rows = _in_rows(_merged(found[key], least_s), lane, queued_at)
        spans += placed
        lanes.append(Lane(_name(key, keys), rows))
    hidden = sum(span.count for key in keys[MOST_LANES:] for span in found[key])
    return Spans(*whole, tuple(lanes), tuple(spans), hidden)


def _name(key: _Key, keys: Sequence[_Key]) -> str:
    worker, child = key
    if child < 0:
        return worker
    return f"{worker}, child {child}" if len({other for other, _ in keys}) > 1 else f"child {child}"


def _all(batch: Run, now: float, least_s: float) -> Iterator[tuple[_Key, Span]]:
    """Yield every attempt that is known, short ones that follow each other together."""
    for record, first, count in batch.known_records():
        if record.told_at is not None and record.worker:
            key = _key(record.worker, record.child)
            for span in _of_record(batch, record, first, count, 2 * least_s):
                yield key, span
    for index, attempt in batch.tries.all():
        if attempt.began_at is not None:
            span = Span(attempt.began_at, attempt.ended_at or now, attempt.state, index)
            yield _key(attempt.worker, attempt.child), span
    for index, running in list(batch.running.copy().items()):
        span = Span(running.started_at, max(now, running.started_at), st.STARTED, index)
        yield _key(running.worker, running.child), span


def _key(worker: str, child: int | None) -> _Key:
    return worker, -1 if child is None else child


def _of_record(batch: Run, record: Record, first: int, count: int, least_s: float) -> Iterator[Span]:
    """Yield the spans of calls of a record; those together that take less than ``least_s`` in all."""
    at, zero, least = first - record.first, (record.told_at or 0.0) + record.ahead_s, batch.created_at
    most = batch.heard_at(first) or zero
    begin, end, code, index, n = 0.0, 0.0, 0, first, 0
    told = [0] * len(st.NAMES)
    calls = zip(
        record.begun[at : at + count], record.seconds[at : at + count], batch.states[first : first + count], strict=True
    )  # fmt: skip
    for number, (begun, seconds, state) in enumerate(calls, first):
        if math.isnan(begun):
            # It was not begun.
            continue
        # Clocks of machines differ a little, and who tells may be wrong.
        began_at = min(max(zero + begun, least), most)
        ended_at = min(began_at + seconds, most)
        if n and begin <= began_at and ended_at - begin < least_s:
            end, n = max(end, ended_at), n + 1
            told[state] += 1
            if _LOUDNESS[state] > _LOUDNESS[code]:
                code, index = state, number
        else:
            if n:
                yield _spanned(begin, end, index, told)
            begin, end, code, index, n = began_at, ended_at, state, number, 1
            told = [0] * len(st.NAMES)
            told[state] = 1
    if n:
        yield _spanned(begin, end, index, told)


def _spanned(begin: float, end: float, index: int, told: Sequence[int]) -> Span:
    """Return the span of calls.

    Args:
        told: how many have each state, by state code.
    """
    counts = {name: n for name, n in zip(st.NAMES, told, strict=True) if n}
    state, others = _said(counts)
    return Span(begin, end, state, index, sum(told), others=others)


def _said(counts: Mapping[str, int]) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return the state of most calls, and the others with their numbers, the loudest first."""
    state = max(counts, key=lambda name: (counts[name], -_loudness(name)))
    others = sorted((name for name in counts if name != state), key=_loudness, reverse=True)
    return state, tuple((name, counts[name]) for name in others)


def _loudness(state: str) -> int:
    return _LOUDNESS[st.NAMES.index(state)]


def _together(one: Span, other: Span) -> Span:
    """Return two spans that follow each other as one."""
    counts = Counter(one.counts())
    counts.update(other.counts())
    state, others = _said(counts)
    louder = max(one, other, key=lambda span: max(map(_loudness, span.counts())))
    ended_at = max(one.ended_at, other.ended_at)
    return replace(
        one, ended_at=ended_at, state=state, first=louder.first, count=one.count + other.count, others=others
    )


def _merged(spans: list[Span], least_s: float) -> list[Span]:
    """Return spans in the order in which they began; short ones so close that they share a pixel are one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: span.began_at):
        last = merged[-1] if merged else None
        if (
            last is not None
            and span.ended_at - last.began_at < 2 * least_s
            and span.state != st.STARTED != last.state
        ):
            merged[-1] = _together(last, span)
        else:
            merged.append(span)
    return merged


def _in_rows(spans: list[Span], lane: int, queued_at: float) -> tuple[list[Span], int]:
    """Return the spans of a lane where they are drawn, and its rows: what ran side by side is in rows of its own."""
    ends: list[float] = []
    placed = []
    for span in spans:
        row = next((row for row, end in enumerate(ends) if end <= span.began_at + _TOGETHER_S), len(ends))
        if row == len(ends) and row < MOST_ROWS:
            ends.append(queued_at)
        row = min(row, MOST_ROWS - 1)
        waits_from = min(max(queued_at, ends[row]), span.began_at) if span.count == 1 else None
        placed.append(replace(span, lane=lane, row=row, waits_from=waits_from))
        ends[row] = max(ends[row], span.ended_at)
    return placed, max(1, len(ends))
