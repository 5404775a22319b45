"""``nbtasks beat``: a process that fires periodic tasks and does nothing else."""

from __future__ import annotations

import os
import platform
import secrets
import select
import socket
from collections.abc import Callable

from nbtasks.broker.legs import open_leg
from nbtasks.broker.servertime import ServerClock
from nbtasks.core import signal
from nbtasks.core.errors import OperationalError
from nbtasks.local.connection import Connection
from nbtasks.wire.frames import Sealer
from nbtasks.wire.signing import Keyring
from nbtasks.worker import log
from nbtasks.worker.log import LOGGER

from .arrival import Arrival
from .beat import Beat
from .duty import Duty
from .stopsignals import StopSignals

#: Seconds between two looks at the schedule: it gets no hints. And between two looks at the server's clock.
_LOOK_S = 0.5
_CLOCK_S = 10.0


class BeatProcess:
    """A beat in the foreground, until it is told to stop.

    Args:
        logfile: what it says goes there; None: to standard error.
    """

    def __init__(self, connection: Connection, loglevel: str, logfile: str | None = None) -> None:
        self._connection = connection
        self._loglevel = loglevel
        self._logfile = logfile
        self._name = f"beat@{socket.gethostname()}"

    def run(self, declare: Callable[[], list[str]]) -> int:
        """Fire what is due; returns the exit code.

        Args:
            declare: puts what the project declares, as soon as the broker is there, and returns the names.
        """
        log.set_up(self._loglevel, self._logfile)
        signals = StopSignals()
        connection = self._connection
        line = open_leg(connection).line()
        arrival = Arrival(None, lambda pause_s: signals.comes_within(pause_s, None))
        keyring = Keyring(connection.keys)
        clock = line.clock(connection.is_local)
        try:
            if not arrival.step(line.check):
                return 0
            arrival.over()
            names = declare()
            self._banner(keyring, names)
            signal.beat_init.send(self._name)
            me = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
            beat = Beat(line, Sealer(keyring, connection.namespace), clock, me, keyring.ids, _LOOK_S).duty
            following = Duty("clock", lambda: _follow(clock))
            following.start()
            beat.start()
            while not signals:
                select.select([signals], [], [], _CLOCK_S)
                signals.drain()
            beat.stop()
            following.stop()
        finally:
            line.abort()
        LOGGER.info("%s stopped", self._name)
        return 0

    def _banner(self, keyring: Keyring, names: list[str]) -> None:
        if not LOGGER.isEnabledFor(20):
            return
        lines = [
            f"nbtasks beat (Python {platform.python_version()}, pid {os.getpid()})",
            f"  broker       {self._connection.address} ({self._connection.source})",
            f"  namespace    {self._connection.namespace}, key {keyring.id}",
        ]
        if names:
            lines += ["", "[periodic tasks]", *(f"  . {name}" for name in names), ""]
        os.write(2, ("\n".join(lines) + "\n").encode())
        LOGGER.info("%s ready", self._name)


def _follow(clock: ServerClock) -> float:
    try:
        clock.follow()
    except OperationalError:
        return 1.0
    return _CLOCK_S
