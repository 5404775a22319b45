"""Moments as people write them: a datetime with or without a zone, a text of it, or seconds since 1970."""

from __future__ import annotations

import math
import numbers
from datetime import date, datetime, timezone, tzinfo
from decimal import Decimal
from typing import Any

from .durations import LONGEST_S, is_span
from .errors import ConfigError

#: Who means a moment means one within ten years, whatever the clock here says.
_NEAR_NOW_S = 10 * 366 * 86_400.0

#: Seconds that a moment may be beside whole hours from now.
_WHOLE_S = 60.0


def moment(value: Any, what: str, now: float, zone: tzinfo | None = None) -> float:
    """Return a moment in seconds since 1970.

    Args:
        zone: of what names none, whatever its type; None: this machine's.

    Raises:
        ConfigError: it is no moment, or is too far away.
    """
    try:
        at = _parse(value, zone)
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


def may_be_epoch(value: Any, seconds: float, now: float) -> bool:
    """Whether what counts as ``seconds`` from now, over 40 years, was rather meant as seconds since 1970."""
    has_unit = is_span(value) or (isinstance(value, str) and value.strip()[-1:].isalpha())
    return not has_unit and abs(seconds - now) < _NEAR_NOW_S


def other_zone(value: Any, now: float) -> str:
    """Return what to say of a moment without a zone that is past: where it may be one of another zone; else empty."""
    at = _of_text(value.strip()) if isinstance(value, str) else value
    if not isinstance(at, datetime) or at.tzinfo is not None:
        return ""
    as_utc = datetime.combine(datetime.date(at), datetime.time(at), timezone.utc).timestamp()
    past = now - _at(at, None)
    if as_utc >= now - _WHOLE_S:
        return "For a moment in UTC say so: datetime.now(timezone.utc) + ..., or countdown=..."
    whole_hours = round(past / 3600)
    if 1 <= whole_hours <= 14 and abs(past - whole_hours * 3600) <= _WHOLE_S:
        return (
            "If it is a moment of another zone, give it one: datetime(..., tzinfo=...), or say countdown=..."
        )
    return ""


def _parse(value: Any, zone: tzinfo | None) -> float:
    if isinstance(value, str):
        return _at(_of_text(value.strip()), zone)
    if is_moment(value):
        return _at(value, zone)
    if isinstance(value, bool) or is_span(value) or not isinstance(value, (numbers.Real, Decimal)):
        return math.nan
    return float(value)


def _of_text(text: str) -> datetime:
    if "-" not in text or ":" not in text:
        raise ValueError("it has no date or no time of day")
    # Python 3.10 does not know the letter for UTC.
    return datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "zZ" else text)


def _at(value: Any, zone: tzinfo | None) -> float:
    if isinstance(value, datetime) and value.tzinfo is None:
        # What pandas has without a zone would count as UTC.
        return datetime.combine(datetime.date(value), datetime.time(value), zone).timestamp()
    # A date has no time of day.
    return float(value.timestamp()) if hasattr(value, "timestamp") else math.nan
