"""``timezone`` and ``enable_utc``: the zone of moments that name none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.readable import repr_of

_HERE = "local"


def checked_zone(value: Any) -> Any:
    """Return a time zone as it was given: a name such as ``Europe/Berlin``, ``local``, or a tzinfo.

    Raises:
        ConfigError: there is none of this name.
    """
    _zone(value)
    return value


def zone_of(said: Mapping[str, Any]) -> dt.tzinfo | None:
    """Return the zone that settings say; None for that of this machine."""
    if said.get("timezone"):
        return _zone(said["timezone"])
    return dt.timezone.utc if said.get("enable_utc") else None


def zone_name_of(said: Mapping[str, Any]) -> str:
    """Return the name of the zone that periodic tasks are meant in.

    Raises:
        ConfigError: that is a tzinfo without a name.
    """
    from nbtasks.core.due import timezones

    value = said.get("timezone")
    if not value or value == _HERE:
        return "UTC" if value is None and said.get("enable_utc") else timezones.local_name()
    return timezones.name_of(value)


def _zone(value: Any) -> dt.tzinfo | None:
    if not value or value == _HERE:
        return None
    if isinstance(value, dt.tzinfo):
        return value
    if value == "UTC":
        return dt.timezone.utc
    if not isinstance(value, str):
        raise ConfigError(
            f"timezone: {repr_of(value, 60)} is no time zone; write it as in 'Europe/Berlin', 'UTC' or 'local'"
        )
    from nbtasks.core.due import timezones

    return timezones.zone(value)
