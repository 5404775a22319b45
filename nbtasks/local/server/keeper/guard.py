"""Stops the server when its keeper is killed."""

from __future__ import annotations

import os

from .serverprocess import SHUTDOWN_COMMAND, SHUTDOWN_S
from .unixsocket import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


class Guard:
    """A forked process that stops the server when the keeper is killed, seen by the end of a pipe."""

    def __init__(self, server_socket: str) -> None:
        reader, self.pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(reader, 0)
                os.closerange(3, 4096)
                _stand_guard(server_socket)
            finally:
                os._exit(0)
        os.close(reader)

    def alert(self) -> None:
        """Say that a new server is up."""
        try:
            os.write(self.pipe, b"s")
        except OSError:
            # Killed as well: the next keeper will find the server without one.
            return

    def dismiss(self) -> None:
        """Let the guard go, after the server."""
        os.close(self.pipe)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            return


def _stand_guard(server_socket: str) -> None:
    import select
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The connection is made while the keeper lives: later, the path may be another keeper's. It may be killed before
    # it says anything.
    connection = _connected(server_socket)
    while True:
        watched: list[int | socket.socket] = [0] if connection is None else [0, connection]
        alerted = 0 in select.select(watched, [], [])[0]
        if alerted and not os.read(0, 64):
            break
        if connection is not None:
            connection.close()
        connection = _connected(server_socket) if alerted else None
    if connection is not None:
        connection.settimeout(SHUTDOWN_S)
        connection.sendall(SHUTDOWN_COMMAND)
        connection.recv(64)


def _connected(server_socket: str) -> socket.socket | None:
    try:
        return connect(server_socket)
    except OSError:
        return None
