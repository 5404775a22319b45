"""The way in for other machines."""

from __future__ import annotations

import os
import sys
import time

from .keeperlog import note
from .layout import LISTEN_FOLDER

#: A proxy that has died is started again after this time.
PROXY_AGAIN_S = 0.5
DEAF = b"deaf nobody has asked for it"


class Door:
    """The process through which other machines reach the server: start, hear, stop. Never blocks.

    Attributes:
        wish: host and port as they were asked for; None: nobody shall be let in.
        answer: what the process has said: ``listening <host> <port>`` or ``deaf <reason>``; empty while it starts.
    """

    def __init__(self, folder: str, server_socket: str) -> None:
        self.folder = os.path.join(folder, LISTEN_FOLDER)
        self.server_socket = server_socket
        self.pid = 0
        self.wish: tuple[str, str] | None = None
        self.answer = DEAF
        self.start_again_at: float | None = None
        self._life_line = self._answers = -1

    def serve(self, host: str, port: str) -> None:
        """Listen there; nothing happens where it does already. Port 0 is any, also the one in use."""
        # One that has given up may still be there for a moment.
        alive = self.pid and not self.answer.startswith(b"deaf")
        if alive and self.wish is not None and self.wish[0] == host and port in {"0", self.wish[1]}:
            return
        self.stop()
        self.wish = (host, port)
        self._start(host, port)

    def _start(self, host: str, port: str) -> None:
        self.start_again_at = None
        self.answer = b""
        life_read, self._life_line = os.pipe()
        self._answers, answer_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(life_read, 0)
                os.dup2(answer_write, 1)
                code = "import sys; sys.path.append(sys.argv.pop(1)); import tlsproxy; tlsproxy.main()"
                arguments = [
                    os.path.dirname(__file__),
                    self.folder,
                    self.server_socket,
                    host,
                    port,
                ]
                os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", code, *arguments])  # noqa: S606
            finally:
                os._exit(127)
        os.close(life_read)
        os.close(answer_write)

    def descriptors(self) -> list[int]:
        """Return what becomes readable when the process says something."""
        return [] if self._answers < 0 else [self._answers]

    def hear(self) -> None:
        """Take in what the process says."""
        line = os.read(self._answers, 4096).partition(b"\n")[0]
        if line.startswith(b"listening ") and self.wish is not None:
            # The same port again after a restart: others know it.
            self.wish = (self.wish[0], line.split()[2].decode())
        self.answer = line or self.answer or b"deaf the TLS proxy has died; the keeper's log says why"
        if not line:
            self._close()

    def ended(self) -> None:
        """Note that the process has ended: it is started again if it had been listening."""
        self.pid = 0
        while self._answers >= 0:
            # What it said last, then the end of the stream.
            self.hear()
        if self.answer.startswith(b"listening "):
            note("the TLS proxy has died")
            self.start_again_at = time.monotonic() + PROXY_AGAIN_S
        else:
            self.wish = None

    def care(self) -> None:
        """Start it again where that is due."""
        if (
            self.start_again_at is not None
            and self.wish is not None
            and time.monotonic() >= self.start_again_at
        ):
            self._start(*self.wish)

    def stop(self) -> None:
        """End the process and its connections."""
        pid, self.pid = self.pid, 0
        self.wish = self.start_again_at = None
        self.answer = DEAF
        self._close()
        if pid:
            import signal

            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _close(self) -> None:
        for fd in (self._life_line, self._answers):
            if fd >= 0:
                os.close(fd)
        self._life_line = self._answers = -1
