"""Time zones by their names."""

from __future__ import annotations

import functools
import os
import zoneinfo
from datetime import tzinfo
from difflib import get_close_matches
from pathlib import Path

from nbtasks.core.errors import ConfigError

_LOCAL = Path("/etc/localtime")
#: What stands before a zone's name in the path of its file.
_DATABASE = "zoneinfo/"


def zone(name: str) -> tzinfo:
    """Return a time zone.

    Raises:
        ConfigError: there is none of this name.
    """
    return _zone(name)


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"timezone: {name!r} is no time zone{_nearest(name)}") from None


def _nearest(name: str) -> str:
    known = zoneinfo.available_timezones()
    if not known:
        return ", for this machine has no zones: pip install tzdata"
    by_letters = {one.lower(): one for one in sorted(known)}
    by_city = {one.rpartition("/")[2].lower(): one for one in sorted(known, reverse=True)}
    asked = name.strip().lower().replace(" ", "_")
    close = get_close_matches(asked, by_letters, 1, 0.8) or get_close_matches(asked, by_city, 1, 0.7)
    close = close or get_close_matches(asked, by_letters, 1, 0.65)
    if not close:
        return "; names look like Europe/Berlin"
    return f"; do you mean {(by_letters.get(close[0]) or by_city[close[0]])!r}?"


def name_of(value: object) -> str:
    """Return the name of a zone that somebody has given, as text or as a tzinfo.

    Raises:
        ConfigError: it has none, or there is no zone of that name.
    """
    name = value if isinstance(value, str) else getattr(value, "key", None) or getattr(value, "zone", None)
    if name is None and str(value) == "UTC":
        name = "UTC"
    if not isinstance(name, str):
        raise ConfigError(f"timezone: {value!r:.60} is no name of a zone; names look like Europe/Berlin")
    zone(name)
    return name


def local_name() -> str:
    """Return the name of this machine's zone; ``UTC`` where it says none."""
    for candidate in (os.environ.get("TZ", "").lstrip(":"), _linked()):
        if candidate:
            try:
                zone(candidate)
            except ConfigError:
                continue
            return candidate
    return "UTC"


def _linked() -> str:
    try:
        target = str(_LOCAL.resolve())
    except OSError:
        return ""
    return target.partition(_DATABASE)[2]
