"""Moments as people write them: a datetime with or without a zone, a text of it, or seconds since 1970."""

from __future__ import annotations

import math
import numbers
from datetime import date, datetime
from typing import Any

from .durations import LONGEST_S
from .errors import ConfigError


def moment(value: Any, what: str, now: float) -> float:
    """Return a moment in seconds since 1970. What says no zone means the time of this machine, whatever its type.

    Raises:
        ConfigError: it is no moment, or is too far away.
    """
    try:
        at = _parse(value)
    except (ValueError, TypeError, OverflowError, OSError):
        at = math.nan
    if not math.isfinite(at):
        raise ConfigError(
            f"{what}: {value!r} is not a time; give a datetime, a text like 2026-05-31T08:00+02:00, or epoch seconds"
        )
    if at - now > LONGEST_S:
        raise ConfigError(
            f"{what}: {value!r} is more than a hundred years away; epoch seconds are about {now:.0f} now"
        )
    return at


def is_moment(value: Any) -> bool:
    """Whether a value can only mean a moment, and not a number of seconds from now."""
    return isinstance(value, date) or (hasattr(value, "timestamp") and callable(value.timestamp))


def _parse(value: Any) -> float:
    if isinstance(value, str):
        return _at(_of_text(value.strip()))
    if is_moment(value):
        return _at(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    return float(value)


def _of_text(text: str) -> datetime:
    if "-" not in text or ":" not in text:
        raise ValueError("it has no date or no time of day")
    # Python 3.10 does not know the letter for UTC.
    return datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "zZ" else text)


def _at(value: Any) -> float:
    if isinstance(value, datetime) and value.tzinfo is None:
        # What pandas has without a zone would count as UTC.
        return datetime.combine(datetime.date(value), datetime.time(value)).timestamp()
    # A date has no time of day.
    return float(value.timestamp()) if hasattr(value, "timestamp") else math.nan
