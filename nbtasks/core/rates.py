"""Rates as Celery writes them: ``"10/s"``, ``"100/m"``, ``"5/h"``, or a number of calls a second."""

from __future__ import annotations

import math

from .errors import ConfigError

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_S = 366 * 86400.0


def rate(value: float | str | None, what: str = "rate_limit") -> str | None:
    """Return a rate in one way of writing, ``<number>/<unit>``; None for no limit, which 0 says as well.

    Raises:
        ConfigError: it is not a rate, is negative, or is less than one call a year.
    """
    if value is None:
        return None
    number, unit = _parse(value)
    if number == 0:
        return None
    if not math.isfinite(number) or number < 0:
        raise ConfigError(
            f"{what}: {value!r} is not a rate; write 10/s, 100/m or 5/h, a number of calls a second, "
            "or None for no limit"
        )
    text = f"{number:.12g}/{unit}"
    if seconds_between(text) > _LONGEST_S:
        raise ConfigError(f"{what}: {value!r} is less than one call a year; write 10/s, 100/m or 5/h")
    return text


def seconds_between(rate: str) -> float:
    """Return the seconds from one start to the next; ``rate`` is what :func:`rate` has returned."""
    number, _, unit = rate.partition("/")
    return _UNITS_S[unit] / float(number)


def _parse(value: object) -> tuple[float, str]:
    """Return number and unit; the number is no number where it is not a rate."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan, "s"
    number, slash, unit = str(value).strip().lower().partition("/")
    unit = unit.strip() if slash else "s"
    try:
        return (float(number) if unit in _UNITS_S else math.nan), unit
    except ValueError:
        return math.nan, unit
