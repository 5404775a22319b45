"""Keeps a server as long as somebody uses it."""

from __future__ import annotations

import os
import time

from .door import Door
from .guard import Guard
from .keeperlog import note, tail
from .layout import KEEPER_SOCKET, SERVER_LOG
from .serverprocess import READY_POLL_S, Server
from .sweep import sweep
from .valuefolders import sweep_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

TOUCH_EVERY_S = 3600.0
LOADING_EVERY_S = 1.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
STEADY_AFTER_S = 10.0
#: Starts in a row that may fail before waiting users are told.
START_TRIES = 3


class Keeper:
    """Users come and go; the server runs as long as it is wanted."""

    def __init__(self, folder: str, sockets: str, server: Server, linger_s: float) -> None:
        self.folder = folder
        self.sockets = sockets
        self.server = server
        self.linger_s = linger_s
        self.users: dict[int, socket.socket] = {}
        self.waiting: set[int] = set()
        #: When a user was last lost without a bye and nobody came since; None: nobody is missed.
        self.lost_at: float | None = None
        self.failures = 0
        self.start_again_at: float | None = None
        self.told_loading_at = 0.0
        self.touch_at = time.monotonic() + TOUCH_EVERY_S
        self.guard: Guard | None = None
        self.door = Door(folder, server.socket_path)
        #: Users that wait for the door's answer.
        self.curious: set[int] = set()
        self.terminated = False
        self._last_user: socket.socket | None = None

    def run(self, first: socket.socket, wake: int, listener: socket.socket) -> None:
        """Serve until nobody needs the server any more, then stop it."""
        import select

        self._admit(first)
        while not self._is_over():
            watched = [wake, listener.fileno(), *self._others(), *self.users]
            for number in select.select(watched, [], [], self._pause())[0]:
                if number == wake:
                    os.read(wake, 512)
                elif number == listener.fileno():
                    self._accept(listener)
                elif number in self.server.descriptors():
                    self.server.lose_touch()
                elif number in self.door.descriptors():
                    self.door.hear()
                elif number in self.users:
                    self._hear(self.users[number])
            self._care_for_server()
            self._care_for_door()
            self._housekeep()

    def _others(self) -> list[int]:
        return [*self.server.descriptors(), *self.door.descriptors()]

    # users

    def _admit(self, user: socket.socket) -> None:
        user.setblocking(False)
        if self._last_user is not None:
            # Somebody came while the last one left: the server stays after all.
            self._last_user.close()
            self._last_user = None
        self.users[user.fileno()] = user

    def _accept(self, listener: socket.socket) -> None:
        try:
            user, _ = listener.accept()
        except OSError:
            return
        self._admit(user)

    def _hear(self, user: socket.socket) -> None:
        try:
            text = user.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            text = b""
        if not text:
            self._forget(user)
            self.lost_at = time.monotonic()
            return
        for line in text.split(b"\n"):
            if line.startswith(b"hello"):
                self.lost_at = None
                self.waiting.add(user.fileno())
            elif line.startswith((b"listen", b"deaf")):
                self._obey(user, line.split())
            elif line == b"bye":
                self._part(user)
        self._greet()

    def _obey(self, user: socket.socket, words: list[bytes]) -> None:
        if words[0] == b"listen" and len(words) == 3:
            self.door.serve(*(word.decode(errors="replace") for word in words[1:]))
        elif words[0] == b"deaf":
            self.door.stop()
        self.curious.add(user.fileno())

    def _part(self, user: socket.socket) -> None:
        """Let a user go. The last one's connection stays open: its end tells that the server is down."""
        number = user.fileno()
        del self.users[number]
        self.waiting.discard(number)
        self.curious.discard(number)
        if self._is_over():
            self._last_user = user
        else:
            user.close()

    def _forget(self, user: socket.socket) -> None:
        self.waiting.discard(user.fileno())
        self.curious.discard(user.fileno())
        del self.users[user.fileno()]
        user.close()

    def _greet(self) -> None:
        if self.server.ready:
            self._tell(b"ready %d %d\n" % (os.getpid(), self.server.pid), self.waiting)
            self.waiting.clear()

    def _tell(self, line: bytes, those: set[int]) -> None:
        for number in list(those):
            try:
                self.users[number].sendall(line)
            except OSError:
                # Its end of stream comes with the next select.
                those.discard(number)

    # time

    def _is_over(self) -> bool:
        if self.terminated:
            return True
        if self.users:
            return False
        return self.lost_at is None or time.monotonic() - self.lost_at >= self.linger_s

    def _pause(self) -> float:
        """Return the seconds until something is due without anybody asking."""
        now = time.monotonic()
        due = [self.touch_at]
        if self.start_again_at is not None:
            due.append(self.start_again_at)
        elif not self.server.ready:
            return READY_POLL_S if now - self.server.started_at < 1.0 else 20 * READY_POLL_S
        if not self.users and self.lost_at is not None:
            due.append(self.lost_at + self.linger_s)
        if self.door.start_again_at is not None:
            due.append(self.door.start_again_at)
        return max(0.0, min(due) - now)

    def _housekeep(self) -> None:
        if time.monotonic() < self.touch_at:
            return
        self.touch_at = time.monotonic() + TOUCH_EVERY_S
        # Cleaners of temporary folders remove what nobody has touched for days.
        for path in (self.sockets, os.path.join(self.sockets, KEEPER_SOCKET), self.server.socket_path):
            try:
                os.utime(path)
            except OSError:
                continue

    # the server

    def _care_for_server(self) -> None:
        self._reap()
        if self.start_again_at is not None:
            if time.monotonic() >= self.start_again_at:
                self.start_again_at = None
                self.server.start()
        elif not self.server.ready:
            self._look_at_server()

    def _look_at_server(self) -> None:
        answer = self.server.look()
        if self.server.ready:
            first = self.guard is None
            if self.guard is None:
                # Before anybody hears of the server: whoever does may kill the keeper.
                self.guard = Guard(self.server.socket_path)
            else:
                self.guard.alert()
            self._greet()
            if first:
                sweep(self.folder, self.sockets)
                sweep_memory(self.folder)
        elif answer and time.monotonic() - self.told_loading_at > LOADING_EVERY_S:
            self.told_loading_at = time.monotonic()
            self._tell(b"loading\n", self.waiting)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.server.pid:
                self._server_died(status)
            elif pid == self.door.pid:
                self.door.ended()

    def _care_for_door(self) -> None:
        self.door.care()
        if self.curious and self.door.answer:
            self._tell(self.door.answer + b"\n", self.curious)
            self.curious.clear()

    def _server_died(self, status: int) -> None:
        lived_s = time.monotonic() - self.server.started_at
        self.failures = 1 if lived_s > STEADY_AFTER_S else self.failures + 1
        self.server.forget()
        note(f"the server ended with {os.waitstatus_to_exitcode(status)} after {lived_s:.1f} s")
        # As core/backoff.py, which a program without its package cannot import.
        delay_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** (self.failures - 1))
        self.start_again_at = time.monotonic() + delay_s
        if self.failures >= START_TRIES and self.waiting:
            self._give_up_on_waiting()

    def _give_up_on_waiting(self) -> None:
        log = os.path.join(self.folder, SERVER_LOG)
        self._tell(b"failed\n" + tail(log).encode(), self.waiting)
        for number in list(self.waiting):
            self._forget(self.users[number])
