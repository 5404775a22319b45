"""The server's own process."""

from __future__ import annotations

import os
import time

from .keeperlog import limit_log, note
from .layout import DATA_FOLDER, SERVER_LOCK, SERVER_LOG, SERVER_SOCKET
from .life import Life
from .unixsocket import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

READY_POLL_S = 0.001
SHUTDOWN_S = 10.0
#: Seconds that a server may take to write what it has done, before it is told to end.
WRITTEN_S = 5.0
#: Redis 6.2 refuses the first form.
SHUTDOWN_COMMAND = b"SHUTDOWN NOSAVE NOW FORCE\r\nSHUTDOWN NOSAVE\r\n"
#: Longer than a stop takes.
PAUSE_COMMAND = b"CLIENT PAUSE 60000 WRITE\r\n"


class Server:
    """The server process: start, look, stop. Never blocks except in :meth:`stop`."""

    def __init__(self, folder: str, sockets: str, binary: str) -> None:
        self.folder = folder
        self.socket_path = os.path.join(sockets, SERVER_SOCKET)
        self.binary = binary
        self.pid = 0
        self.ready = False
        self.started_at = 0.0
        self.life = Life(folder, os.path.join(folder, DATA_FOLDER))
        self._control: socket.socket | None = None
        self._status = -1

    def start(self) -> None:
        """Start the server; it is not ready yet."""
        self.ready = False
        self.started_at = time.monotonic()
        data = os.path.join(self.folder, DATA_FOLDER)
        os.makedirs(data, 0o700, exist_ok=True)
        log = os.path.join(self.folder, SERVER_LOG)
        limit_log(log)
        arguments = self._arguments(self.life.begin(), data, log)
        pid = os.fork()
        if pid == 0:
            try:
                self._become_server(arguments, log)
            finally:
                os._exit(127)
        self.pid = pid

    def _arguments(self, configuration: str, data: str, log: str) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": self.socket_path,
            "unixsocketperm": "700",
            "daemonize": "no",
            "dir": data,
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": str(memory_limit()),
            "maxmemory-policy": "noeviction",
            "logfile": log,
            # Rewriting the title would overwrite the environment that tools like ps show.
            "set-proc-title": "no",
        }
        settings = (part for name, value in options.items() for part in ("--" + name, value))
        return [self.binary, configuration, *settings]

    def _become_server(self, arguments: list[str], log: str) -> None:
        # The part of "signal" that is there without 5 ms for its enums.
        import _signal  # type: ignore[import-not-found]
        import fcntl

        # At a logout everybody gets it. The server is stopped by its keeper, who sees that nothing is lost.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGTERM])
        # The lock lives as long as a process that inherits it: who finds it taken knows of a live server.
        lock = os.open(os.path.join(self.folder, SERVER_LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock, True)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execv(self.binary, arguments)  # noqa: S606 - a program and its arguments, no shell text

    def look(self) -> bytes:
        """Ask the server how it is; return its first line, empty where it does not listen yet."""
        try:
            connection = connect(self.socket_path)
        except OSError:
            return b""
        try:
            connection.sendall(b"PING\r\n")
            answer: bytes = connection.recv(256)
        except OSError:
            answer = b""
        self.ready = answer.startswith(b"+PONG")
        if self.ready:
            self._control = connection
        else:
            connection.close()
        return answer

    def descriptors(self) -> list[int]:
        """Return what becomes readable when the server closes our connection."""
        return [] if self._control is None else [self._control.fileno()]

    def forget(self) -> None:
        """Note that the server has ended."""
        self.pid = 0
        self.lose_touch()

    def lose_touch(self) -> None:
        """Note that the server, if it lives, must be looked at again."""
        self.ready = False
        if self._control is not None:
            self._control.close()
            self._control = None

    def stop(self, by_force: bool = False) -> None:
        """Stop the server, its data written; by force after SHUTDOWN_S seconds."""
        import signal

        if not self.pid:
            return
        written = False
        if by_force:
            os.kill(self.pid, signal.SIGKILL)
        else:
            written = self._is_written()
            if not self._ask_to_stop():
                os.kill(self.pid, signal.SIGINT)
        give_up_at = time.monotonic() + SHUTDOWN_S
        while not self._reaped():
            if time.monotonic() > give_up_at:
                os.kill(self.pid, signal.SIGKILL)
                give_up_at += SHUTDOWN_S
            time.sleep(READY_POLL_S)
        self.forget()
        # One that has just begun does not catch the signal yet.
        if self._status in {0, int(signal.SIGINT)}:
            self._note_end(written)

    def _note_end(self, written: bool) -> None:
        try:
            self.life.end(written)
        except OSError as error:
            note(f"the next start will take this stop for a crash: {error}")

    def _is_written(self) -> bool:
        """Let nobody write any more, and return whether all that was done is in the file."""
        if self._control is None:
            return False
        give_up_at = time.monotonic() + WRITTEN_S
        try:
            self._control.settimeout(WRITTEN_S)
            if not self._ask(PAUSE_COMMAND).startswith(b"+OK"):
                return False
            while time.monotonic() < give_up_at:
                facts = self._ask(b"INFO persistence\r\n")
                if b"aof_last_write_status:ok\r" not in facts:
                    return False
                if b"aof_buffer_length:0\r" in facts:
                    return True
                # Writing is put off while the disk is busy with an earlier sync.
                time.sleep(READY_POLL_S)
        except OSError:
            pass
        return False

    def _ask(self, command: bytes) -> bytes:
        """Return the server's answer to a command: a line, or a text of many."""
        assert self._control is not None
        self._control.sendall(command)
        answer = b""
        while not _is_whole(answer):
            part: bytes = self._control.recv(65536)
            if not part:
                raise ConnectionResetError
            answer += part
        return answer

    def _ask_to_stop(self) -> bool:
        # Ten times as fast as a signal, which the server notices at its next tick.
        if self._control is None:
            return False
        try:
            self._control.sendall(SHUTDOWN_COMMAND)
        except OSError:
            return False
        return True

    def _reaped(self) -> bool:
        try:
            pid, self._status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self._status = -1
            return True
        return pid != 0


def _is_whole(answer: bytes) -> bool:
    """Whether that is all of an answer of the server."""
    line, end, rest = answer.partition(b"\r\n")
    return bool(end) and (not line.startswith(b"$") or len(rest) >= int(line[1:]) + 2)


def memory_limit() -> int:
    """Return the bytes that the server may use: half of what this machine, or this container, has."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        # 0 is no limit.
        return 0
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                total = min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    return total // 2
