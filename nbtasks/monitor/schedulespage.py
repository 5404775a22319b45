"""The page of periodic tasks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .bounded import short

if TYPE_CHECKING:
    from nbtasks.core.due.periodicfacts import PeriodicFacts

_MOST, _MOST_RUNS = 500, 15


def schedules_page(found: Sequence[PeriodicFacts]) -> dict[str, Any]:
    """Return the page."""
    return {"schedules": [_row(one) for one in found[:_MOST]], "more": max(0, len(found) - _MOST)}


def _row(one: PeriodicFacts) -> dict[str, Any]:
    return {
        "name": one.name,
        "schedule": short(one.schedule),
        "task": short(one.task),
        "queue": short(one.queue),
        "calls": one.calls,
        "next": None if one.next_run is None else one.next_run.timestamp(),
        "paused": one.paused,
        "count": one.count,
        "skipped": one.skipped,
        "missed": one.missed,
        "runs": [
            {"due": run.due.timestamp(), "id": run.id, "state": run.state or None}
            for run in one.runs[:_MOST_RUNS]
        ],
        "ends_with": one.ends_with,
        "owner": short(one.owner),
        "coded": one.coded.timestamp(),
    }
