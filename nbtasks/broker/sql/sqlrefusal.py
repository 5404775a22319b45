"""What is said of what the leg does not do yet."""

from __future__ import annotations

from nbtasks.core.errors import ConfigError


def refuse(text: str) -> ConfigError:
    """Return the error of what is refused where it is asked for."""
    return ConfigError(f"an SQL database as a broker does not do this yet: {text}")
