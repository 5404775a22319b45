"""Durations as people write them: ``90``, ``"90"``, ``"5m"``, ``"1h30m"``, ``timedelta(minutes=5)``."""

from __future__ import annotations

import math
import numbers
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from .errors import ConfigError

Duration = float | int | str | timedelta

YEAR_S = 365.25 * 86_400
#: A hundred years; what is longer overflows somewhere.
LONGEST_S = 100 * YEAR_S

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(
    value: Duration, what: str = "duration", *, least_s: float = 0.0, most_s: float = LONGEST_S
) -> float:
    """Return ``value`` in seconds.

    Raises:
        ConfigError: it is not a duration, is negative, is not finite, or is not within the limits.
    """
    result = _known(value, what)
    if result < 0:
        raise _no_duration(value, what)
    if result < least_s:
        raise ConfigError(f"{what}: {value!r} is under {least_s:g} s")
    if result > most_s:
        raise ConfigError(f"{what}: {value!r} is more than {_in_words(most_s)}")
    return result


def seconds_from_now(value: Duration, what: str) -> float:
    """Return ``value`` in seconds; 0 for what is past already.

    Raises:
        ConfigError: as in :func:`seconds`.
    """
    result = _known(value, what)
    return 0.0 if result < 0 else seconds(result, what)


def patience(value: Duration | None, what: str = "timeout") -> float | None:
    """Return how long to wait, in seconds: None for ever, 0 for no longer than now.

    Raises:
        ConfigError: it is not a duration.
    """
    if value is None:
        return None
    result = _parse(value)
    if result is None or math.isnan(result):
        raise _no_duration(value, what)
    return min(max(0.0, result), LONGEST_S)


def _known(value: Duration, what: str) -> float:
    result = _parse(value)
    if result is None or not math.isfinite(result):
        raise _no_duration(value, what)
    return result


def _no_duration(value: object, what: str) -> ConfigError:
    return ConfigError(f"{what}: {value!r} is not a duration; write seconds (90) or a text like 5m or 1h30m")


def _in_words(seconds: float) -> str:
    return "a hundred years" if seconds == LONGEST_S else f"{seconds / 86_400:g} days"


def is_span(value: Any) -> bool:
    """Whether a value has a unit of its own: a timedelta of Python, pandas or numpy."""
    return isinstance(value, timedelta) or type(value).__name__ == "timedelta64"


def _parse(value: Any) -> float | None:
    if is_span(value):
        return _of_span(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, (numbers.Real, Decimal)):
        return _float(value)
    if isinstance(value, str):
        return _parse_text(value.strip().lower())
    return None


def _of_span(value: Any) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        # numpy's counts as a number for Python, too: one of its own unit.
        return _float(value / type(value)(1, "s"))
    except TypeError:
        # A month has no length.
        return None


def _float(value: Any) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except ValueError:
        # A Decimal that signals.
        return math.nan


def _parse_text(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
