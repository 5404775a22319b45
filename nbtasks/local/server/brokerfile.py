"""The file that stands in for the embedded server where there is none for this platform."""

from __future__ import annotations

import os
from pathlib import Path

from nbtasks.broker.sqliteurl import SqliteUrl
from nbtasks.core.errors import ConfigError

from .keeper.layout import BROKER_FILE
from .serverplace import ServerPlace
from .serverprogram import has_none

#: Says which of them an App takes that names no broker: ``server`` or ``file``.
EMBEDDED_VARIABLE = "NBTASKS_EMBEDDED"
_SERVER, _FILE = "server", "file"


def is_wanted() -> bool:
    """Whether an App that names no broker takes a file: it is told to, or there is no server to be had.

    Raises:
        ConfigError: what is said is neither.
    """
    said = os.environ.get(EMBEDDED_VARIABLE, "")
    if said not in {"", _SERVER, _FILE}:
        raise ConfigError(f"{EMBEDDED_VARIABLE}: {said!r} is neither {_SERVER!r} nor {_FILE!r}")
    return said == _FILE or (not said and has_none())


def file_url() -> str:
    """Return the URL of the current folder's file, where the server's data would be.

    Raises:
        ConfigError: the state folder cannot be used.
    """
    return SqliteUrl(str(_file())).whole


def is_there() -> bool:
    """Whether anybody has made the current folder's file.

    Raises:
        ConfigError: the state folder cannot be used.
    """
    return _file().exists()


def _file() -> Path:
    return ServerPlace.of(None).folder / BROKER_FILE
