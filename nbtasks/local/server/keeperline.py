"""A user's line to the keeper of an embedded server. What is said over it stands in ``keeper/__init__.py``."""

from __future__ import annotations

import os
import select
import socket
import time
import weakref
from pathlib import Path

from nbtasks.core.errors import ConfigError

#: Seconds within which a keeper takes a user in; the last one's goodbye has to wait until the data are written.
GOODBYE_TIMEOUT_S = 15.0
LISTEN_TIMEOUT_S = 15.0

_open: weakref.WeakSet[socket.socket] = weakref.WeakSet()


class KeeperLine:
    """The line of one user. The keeper keeps its server as long as there is one.

    Args:
        connection: to the keeper, which is greeted.

    Attributes:
        keeper_pid: the keeper's process id, 0 until it is known.

    Raises:
        OSError: the keeper is gone.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._owner = os.getpid()
        self.keeper_pid = 0
        _open.add(connection)
        connection.sendall(b"hello %d\n" % os.getpid())

    @classmethod
    def to(cls, keeper_socket: Path) -> KeeperLine | None:
        """Return a line to the keeper that listens there; None where none does."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(GOODBYE_TIMEOUT_S)
            connection.connect(str(keeper_socket))
            return cls(connection)
        except OSError:
            connection.close()
            return None

    @property
    def is_ours(self) -> bool:
        """Whether it belongs to this process, and not to the one that this was forked off."""
        return os.getpid() == self._owner

    def has_ended(self, within_s: float = 0.0) -> bool:
        """Whether it is closed on either end, or is so within some seconds. Takes nothing from it."""
        if self._connection.fileno() < 0:
            return True
        poll = select.poll()
        try:
            # The end is told in any case.
            poll.register(self._connection, 0)
            return bool(poll.poll(within_s * 1000))
        except (OSError, ValueError):
            return True

    def hear(self, deadline: float) -> bytes:
        """Return one line of text, read byte by byte so that nothing after it is taken; empty at the end of the stream.

        Args:
            deadline: on the monotonic clock.

        Raises:
            TimeoutError: the keeper has said nothing.
        """
        line = b""
        while not line.endswith(b"\n"):
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                byte = self._connection.recv(1)
            except TimeoutError:
                raise
            except OSError:
                byte = b""
            if not byte:
                return b""
            line += byte
        return line[:-1]

    def hear_out(self) -> str:
        """Return all that the keeper says up to the end of the stream."""
        text = b""
        try:
            while part := self._connection.recv(65536):
                text += part
        except OSError:
            pass
        return text.decode("utf-8", "replace")

    def ask(self, question: str) -> tuple[str, int] | str:
        """Ask about the listener; return host and port, or the reason why there is none.

        Raises:
            ConfigError: the keeper does not answer.
        """
        self._connection.settimeout(LISTEN_TIMEOUT_S)
        try:
            self._connection.sendall(question.encode() + b"\n")
            word, _, rest = self._connection.recv(4096).decode("utf-8", "replace").strip().partition(" ")
        except OSError as error:
            raise ConfigError(f"the keeper of the embedded server does not answer: {error}") from error
        if word != "listening":
            return rest or "the embedded server is gone"
        host, _, port = rest.rpartition(" ")
        return host, int(port)

    def leave(self) -> bool:
        """Say goodbye; where this was the last user, that returns when the server has stopped and its data are written.

        Returns:
            Whether it was said: False where the line was closed before, or is the parent's of a forked process.
        """
        if self._connection.fileno() < 0:
            return False
        try:
            if self.is_ours:
                self._say_goodbye()
            return self.is_ours
        finally:
            self._connection.close()

    def _say_goodbye(self) -> None:
        try:
            self._connection.settimeout(GOODBYE_TIMEOUT_S)
            self._connection.sendall(b"bye\n")
            while self._connection.recv(64):
                pass
        except OSError:
            return

    def close(self) -> None:
        """Close it without a word: the keeper takes that for a crash."""
        self._connection.close()


def _drop_inherited() -> None:
    # A child that outlives its parent would otherwise keep the server alive.
    for connection in list(_open):
        connection.close()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited)
