"""What is done about due times that are past: which are fired, and which were missed for good."""

from __future__ import annotations

from itertools import islice
from typing import Literal, get_args

from nbtasks.core.errors import ConfigError

from .timetable import Timetable

#: ``skip``: what was missed is left out. ``latest``: of all that was missed the last one is fired. ``all``: every one.
Missed = Literal["skip", "latest", "all"]
MISSED = get_args(Missed)
#: Seconds that a due time may be past and is not missed: one who fires has taken over from another one meanwhile.
GRACE_S = 60.0
#: Due times that are made up for, at most.
MOST_MADE_UP = 100
_MOST_LOOKED_AT = 1000


def were(times: int) -> str:
    """Return so many due times as the beginning of a sentence."""
    return f"{times:,} due time{' was' if times == 1 else 's were'}"


def check_missed(value: object) -> str:
    """Return what is to be done about missed due times.

    Raises:
        ConfigError: it is nothing of that.
    """
    if value not in MISSED:
        raise ConfigError(f"missed: {value!r} is not one of {', '.join(MISSED)}")
    return str(value)


def newest(table: Timetable, due: float, now: float, most: int) -> list[float]:
    """Return the last due times from ``due`` on that are not later than ``now``; some more than ``most``, or all."""
    span = GRACE_S
    while now - span > due:
        first = table.after(now - span, due)
        found = [] if first is None else list(islice(table.due_times(first, now), most + 1))
        if len(found) >= most:
            # More than enough, but the last ones are wanted.
            return found if len(found) <= most else _rest(table, found[-1], now, found)
        span *= 2
    return list(islice(table.due_times(due, now), 4 * _MOST_LOOKED_AT))


def _rest(table: Timetable, due: float, now: float, found: list[float]) -> list[float]:
    return [*found, *islice(table.due_times(due, now), 1, 4 * _MOST_LOOKED_AT)]


def first_to_fire(table: Timetable, due: float, now: float, missed: str) -> tuple[float | None, int]:
    """Return the due time that is next to be fired, and how many before it are passed over.

    Args:
        due: the first one that has not been seen to; past, or now.
        now: of the same clock.

    Returns:
        a due time that may be in the future, None where there is none ever; and a count, which is too low where it
        would take long to count them.
    """
    if now - due <= GRACE_S:
        return due, 0
    past = newest(table, due, now, _MOST_LOOKED_AT)
    young = [moment for moment in past if now - moment <= GRACE_S]
    old = past[: len(past) - len(young)]
    if missed == "all" and old:
        target: float | None = old[-MOST_MADE_UP:][0]
    elif young:
        target = young[0]
    elif missed == "latest" and old:
        target = old[-1]
    else:
        target = table.after(now, due)
    passed = [moment for moment in past if target is None or moment < target]
    return target, max(len(passed), 0 if target == due else 1)
