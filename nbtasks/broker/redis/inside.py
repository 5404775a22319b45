"""What is taken from the inside of redis-py, which has no public name for it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple

import redis

from nbtasks.core.errors import ConfigError

#: As in pyproject.toml; and the newest with which everything was tried.
ALLOWED, TRIED = ">=5.0,<9", "8.1.0"


class Inside(NamedTuple):
    """Of a connection that is made: its socket, and what makes an exception of an error that the server tells."""

    socket: socket.socket
    error: Callable[[str], Exception]


def inside(connection: object) -> Inside:
    """Return the inside of a connection of redis-py's.

    Raises:
        ConfigError: this redis-py is another one inside.
    """
    try:
        return Inside(connection._sock, connection._parser.parse_error)  # type: ignore[attr-defined]
    except AttributeError as error:
        raise ConfigError(
            f"nbtasks cannot use redis-py {redis.__version__}, which has changed inside ({error}): "
            f"pip install 'redis{ALLOWED}', of which {TRIED} is known to work"
        ) from error
