"""How a task of one App is submitted from a worker of another: what that needs travels with it, hidden."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import ConfigError, SignatureMismatch
from nbtasks.local.connection import Connection
from nbtasks.wire import secrets

from .home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_access(home: Home, connection: Connection, include: Sequence[str], through: Connection) -> Home:
    """Return an App's home with what a worker of another App needs to submit there.

    Args:
        connection: of the App.
        include: modules that its workers have of their own.
        through: where it travels: who works there can read it, and nobody else.
    """
    said = {**connection.to_json(), "include": list(include)}
    packed = json.dumps(said, sort_keys=True).encode()
    return dataclasses.replace(home, access=secrets.hidden(packed, through.keys[0]))


def opened_access(home: Home, served: Connection) -> tuple[Connection, Sequence[str]] | None:
    """Return where calls go that belong there, and the modules of its workers; None where that did not travel.

    Args:
        served: what this worker runs for.
    """
    if not home.access:
        return None
    try:
        said: dict[str, Any] = json.loads(secrets.shown(home.access, served.keys))
        return Connection.from_json(said), [str(name) for name in said["include"]]
    except (SignatureMismatch, ConfigError, ValueError, KeyError, TypeError):
        return None
