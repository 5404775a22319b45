"""Celery's ``solar``, which is not here."""

from __future__ import annotations

from typing import Any

from nbtasks.core.errors import ConfigError


def solar(event: str, lat: float, lon: float, *_: Any, **__: Any) -> None:
    """Say what to do instead of a schedule by the sun.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"solar({event!r}, {lat!r}, {lon!r}) is not here, for it needs an astronomer's library: let a task run every "
        "day before the event, compute the moment there (ephem, astral), and say task.apply_async(eta=moment)"
    )
