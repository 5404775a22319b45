"""Connections inside this machine."""

from __future__ import annotations

from .removal import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def connect(path: str, timeout_s: float = 1.0) -> socket.socket:
    """Return a connection to a unix socket, or raise OSError."""
    import socket

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def listen(path: str) -> socket.socket:
    """Return a listening unix socket in place of whatever was left there."""
    import socket

    remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    listener.setblocking(False)
    return listener
