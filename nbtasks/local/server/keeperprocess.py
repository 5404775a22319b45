"""The process of a keeper, as it is started."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from nbtasks.core.errors import ConfigError
from nbtasks.local import hindrance

from . import serverprogram
from .keeper.layout import KEEPER_LOG
from .keeperline import KeeperLine
from .serverplace import ServerPlace
from .serverprogram import INSTEAD

LINGER_VARIABLE = "NBTASKS_LINGER"
LINGER_S = 600.0
#: Settings that a server has no use for and that should not show up in its environment.
_PRIVATE_VARIABLES = frozenset({"NBTASKS_KEY", "NBTASKS_BROKER", "NBTASKS_CONNECTION_FILE"})


def launch(place: ServerPlace) -> tuple[KeeperLine, int]:
    """Start a keeper; return its first user's line, and the process that forks it off, to be collected.

    Raises:
        ConfigError: this machine refuses it.
    """
    command = _command(place)
    log, ours, theirs = _log_and_ends(place)
    try:
        line = KeeperLine(ours)
        pid = os.posix_spawn(
            sys.executable,
            command,
            {name: value for name, value in os.environ.items() if name not in _PRIVATE_VARIABLES},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            # Out of reach of an interrupt from its first instant; a session of its own follows.
            setpgroup=0,
            setsigmask=[],
        )
    except (OSError, TypeError, ValueError) as error:
        # Where Python is part of another program, sys.executable may be None or empty.
        ours.close()
        reason = hindrance.explain(error) if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"the interpreter {sys.executable!r} cannot be started: {reason}; {INSTEAD}"
        ) from error
    finally:
        theirs.close()
        os.close(log)
    return line, pid


def _log_and_ends(place: ServerPlace) -> tuple[int, socket.socket, socket.socket]:
    """Return the keeper's log, our end of the connection to it, and its own."""
    log = -1
    try:
        log = os.open(place.folder / KEEPER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return log, *socket.socketpair()
    except OSError as error:
        if log >= 0:
            os.close(log)
        reason = hindrance.explain(error)
        raise ConfigError(f"the embedded server cannot be started: {reason}; or {INSTEAD}") from error


def _command(place: ServerPlace) -> list[str]:
    # Imported, not run as a script: so its compiled form is used.
    code = "import sys; sys.path.append(sys.argv.pop(1)); from keeper import startup; startup.main()"
    folders = [str(Path(__file__).parent), str(place.folder), str(place.sockets)]
    program = str(serverprogram.binary())
    return [sys.executable, "-I", "-S", "-c", code, *folders, program, str(_linger_s())]


def _linger_s() -> float:
    text = os.environ.get(LINGER_VARIABLE)
    try:
        seconds = float(text) if text else LINGER_S
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{LINGER_VARIABLE}: {text!r} is not a number of seconds")
    return seconds
