"""Durations as people write them: ``90``, ``"90"``, ``"5m"``, ``"1h30m"``, ``timedelta(minutes=5)``."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from .errors import ConfigError

Duration = float | int | str | timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(value: Duration, what: str = "duration") -> float:
    """Return ``value`` in seconds.

    Raises:
        ConfigError: it is not a duration, is negative or is not finite.
    """
    result = _parse(value)
    if result is None or not math.isfinite(result) or result < 0:
        raise ConfigError(
            f"{what}: {value!r} is not a duration; write seconds (90) or a text like 5m or 1h30m"
        )
    return result


def _parse(value: Duration) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str):
        return None
    return _parse_text(value.strip().lower())


def _parse_text(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
