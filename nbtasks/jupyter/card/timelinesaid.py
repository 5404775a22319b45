"""The timeline as a page draws it: the part that is asked for, at the width that it has there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nbtasks.client.timeline.drawing import BAR
from nbtasks.client.timeline.spans import Span, spans_of
from nbtasks.core import states

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

_LEAST_COLUMNS, _MOST_COLUMNS = 50, 3_000
#: Seconds: what is shown is no shorter.
_LEAST_PART_S = 1e-5
_LONGEST_S = 1e9


def timeline_said(batch: Run, asked: dict[str, Any], now: float) -> dict[str, Any]:
    """Return what a page draws. Times in it are seconds since the batch was submitted.

    Args:
        asked: ``from`` and ``to`` in such seconds, ``columns`` in pixels; it may be anything.
        now: epoch seconds.
    """
    began = time.perf_counter()
    done = batch.ended_at is not None
    zero, took = batch.created_at, max((batch.ended_at or now) - batch.created_at, _LEAST_PART_S)
    begin, end = _part(asked, took)
    columns = asked.get("columns")
    columns = min(max(columns, _LEAST_COLUMNS), _MOST_COLUMNS) if type(columns) is int else 800
    found = spans_of(batch, now, (zero + begin, zero + end), columns)
    hidden = f"{found.hidden:,} calls ran on children that are not shown" if found.hidden else ""
    return {
        "number": asked["number"] if type(asked.get("number")) is int else 0,
        "took": took,
        "from": begin,
        "to": end,
        "queued": max(0.0, (batch.origin.eta_at or 0.0) - zero),
        "lanes": [[lane.name, lane.rows] for lane in found.lanes],
        "spans": [
            [
                span.lane,
                span.row,
                None if span.waits_from is None else round(span.waits_from - zero, 6),
                round(span.began_at - zero, 6),
                round(span.ended_at - zero, 6),
                states.NAMES.index(span.state),
                span.first,
                span.count,
                _others(span),
            ]
            for span in found.spans
        ],
        "hidden": hidden,
        "done": done,
        "cost_s": round(time.perf_counter() - began, 4),
    }


def _others(span: Span) -> list[tuple[int, int, int]]:
    """Return the states that not most calls of a bar have: code, how many, and how high their mark is (0: no mark)."""
    heights = dict(span.marks(BAR))
    return [(states.NAMES.index(state), n, heights.get(state, 0)) for state, n in span.others]


def _part(asked: dict[str, Any], took: float) -> tuple[float, float]:
    begin, end = _moment(asked.get("from")), _moment(asked.get("to"))
    if begin is None or end is None:
        return 0.0, took
    begin = min(max(0.0, begin), took - _LEAST_PART_S)
    return begin, max(begin + _LEAST_PART_S, min(end, took))


def _moment(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and -_LONGEST_S < value < _LONGEST_S else None
