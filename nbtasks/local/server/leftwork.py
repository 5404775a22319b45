"""A note that calls were left in an embedded server which has stopped: whoever comes next can ask for them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from . import brokerfile
from .serverplace import ServerPlace, is_embedded
from .serverprogram import why_unavailable

_NOTE = "left"


def note_left(url: str) -> None:
    """Note that calls have not ended in the server with this URL, if it is an embedded one."""
    if is_embedded(url):
        with contextlib.suppress(OSError):
            _note(ServerPlace.behind(url)).touch(mode=0o600)


def forget_left(url: str) -> None:
    """Nothing is left there any more."""
    if is_embedded(url):
        with contextlib.suppress(OSError):
            _note(ServerPlace.behind(url)).unlink(missing_ok=True)


def may_be_left() -> bool:
    """Whether the current folder's server runs, or calls were left in it, or it has a file; nothing is started for it.

    Raises:
        ConfigError: the state folder cannot be used.
    """
    if brokerfile.is_wanted():
        # Nobody ends it, so nothing is noted either; and nothing has to be started for a look.
        return brokerfile.is_there()
    if why_unavailable() is not None:
        return False
    place = ServerPlace.of(None)
    return place.keeper_socket.exists() or _note(place).exists()


def _note(place: ServerPlace) -> Path:
    return place.folder / _NOTE
