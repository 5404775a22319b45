"""The server of a keeper that was killed."""

from __future__ import annotations

import os
import time

from .flock import take_lock
from .layout import SERVER_LOCK, SERVER_SOCKET
from .serverprocess import READY_POLL_S, SHUTDOWN_COMMAND
from .unixsocket import connect

ORPHAN_S = 3.0


def stop_orphan(folder: str, sockets: str, old_keeper: int) -> None:
    """Stop a server whose keeper was killed, so that never two servers write the same files."""
    path = os.path.join(folder, SERVER_LOCK)
    lock = take_lock(path)
    if lock is not None:
        os.close(lock)
        return
    import contextlib
    import signal

    give_up_at = time.monotonic() + ORPHAN_S
    asked = False
    while (lock := take_lock(path)) is None:
        if not asked:
            asked = True
            try:
                with connect(os.path.join(sockets, SERVER_SOCKET)) as connection:
                    connection.sendall(SHUTDOWN_COMMAND)
            except OSError:
                give_up_at = 0.0
        if time.monotonic() > give_up_at and old_keeper > 1:
            # A member of that process group holds the lock, so nobody else can have been given its number.
            with contextlib.suppress(OSError):
                os.killpg(old_keeper, signal.SIGKILL)
        time.sleep(READY_POLL_S)
    os.close(lock)
