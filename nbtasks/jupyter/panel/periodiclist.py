"""The list of periodic tasks, and the card of one: when each is due, and how its last runs have ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nbtasks.core.due.missed import were
from nbtasks.core.due.periodicfacts import GONE, WITH_ANOTHER, WITH_THIS
from nbtasks.jupyter.card import words

from .table import Panel, RowHandle

if TYPE_CHECKING:
    from nbtasks.core.due.periodicfacts import PeriodicFacts, PeriodicRun

#: Few, for there are buttons beside them; what else there is to say stands in the lines below a row.
_COLUMNS = ("name", "due", "next run", "last runs", "runs", "ends with")
_NOTHING = (
    'No periodic tasks. `%%task --every 15m` or `%%task --cron "0 6 * * *"` makes one of a cell, '
    "`app.add_periodic_task()` of a call."
)
#: How a run has ended, in the row of the last ones, the newest at the end.
_MARKS = {
    "SUCCESS": "\N{CHECK MARK}",
    "FAILURE": "\N{BALLOT X}",
    "REVOKED": "\N{CIRCLED DIVISION SLASH}",
    "": "\N{MIDDLE DOT}",
}
_GOES_ON = "\N{BLACK CIRCLE}"
#: Runs in a row, and in the lines below it; characters of a name.
_MOST_MARKS, _MOST_LINES, _MOST_NAME = 15, 5, 60
_ENDS = {WITH_THIS: "this notebook", WITH_ANOTHER: "another notebook", GONE: "a notebook that is gone"}


def periodic_panel(found: Sequence[PeriodicFacts], now: datetime) -> Panel:
    """Return all periodic tasks of the namespace.

    Args:
        now: with a time zone.
    """
    return _listed(found, now, empty=_NOTHING)


def _listed(found: Sequence[PeriodicFacts], now: datetime, **others: Any) -> Panel:
    rows, handles = [_row(one, now) for one in found], [_handle(one, now) for one in found]
    return Panel("", _COLUMNS, rows, handles=handles, **others)


def periodic_card(facts: PeriodicFacts | None, name: str, now: datetime, has_workers: bool) -> Panel:
    """Return the card of one; ``facts`` is None where it is not there any more."""
    if facts is None:
        return Panel(
            "",
            ("name",),
            [],
            empty=f"The periodic task {name!r} has ended. Run its cell again to have it back.",
        )
    notes = [_how_to_end(facts)]
    if not has_workers:
        notes.append("No worker is there to fire and to run it: `%workers start 2`.")
    return _listed([facts], now, notes=notes)


def _how_to_end(facts: PeriodicFacts) -> str:
    if facts.ends_with == WITH_THIS:
        return "It ends when this notebook's kernel ends; with --keep it goes on."
    if not facts.ends_with:
        return (
            "It goes on when this notebook is closed, as long as there are workers; Remove, or "
            f"`%tasks schedule remove {facts.name}` in any notebook, ends it."
        )
    return f"It ends with {_ENDS[facts.ends_with]}."


def _row(one: PeriodicFacts, now: datetime) -> tuple[str, ...]:
    due = "paused" if one.paused else "never" if one.next_run is None else _moment(one.next_run, now)
    ends = _ENDS.get(one.ends_with) or (
        f"project {one.owner.partition(':')[0]}" if one.owner else "nothing (kept)"
    )
    return (
        words.plain(one.name, _MOST_NAME),
        one.schedule,
        due,
        "".join(_mark(run) for run in reversed(one.runs[:_MOST_MARKS])) or "none yet",
        f"{one.count:,}",
        ends,
    )


def _mark(run: PeriodicRun) -> str:
    return _MARKS.get(run.state, _GOES_ON)


def _handle(one: PeriodicFacts, now: datetime) -> RowHandle:
    lines = [
        f"{_moment(run.due, now)}  {run.state.lower() or 'not known any more'}  {words.short_id(run.id)}"
        for run in one.runs[:_MOST_LINES]
    ]
    if one.missed:
        lines.append(f"{were(one.missed)} missed, for nobody was there to fire them")
    if one.skipped:
        lines.append(f"{were(one.skipped)} left out, because the run before went on")
    # When its code was put, says this machine's clock; a run is told in the zone of the schedule.
    coded = _moment(one.coded.astimezone(), now)
    lines.append(f"code of {coded} ({one.code})" if one.code else "code of the workers")
    state = one.runs[0].state if one.runs else ""
    return RowHandle(
        one.name,
        "STARTED" if state == "PENDING" else state,
        ("run", "resume" if one.paused else "pause", "remove"),
        lines,
    )


def _moment(moment: datetime, now: datetime) -> str:
    """Return a moment of the periodic task's zone, as short as one understands it."""
    today = now.astimezone(moment.tzinfo)
    if moment.date() == today.date():
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%d %b %H:%M" if moment.year == today.year else "%d %b %Y %H:%M")
