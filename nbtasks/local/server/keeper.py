"""Runs one embedded server and keeps it as long as somebody uses it.

Started by ``embedded.py`` as a process of its own, with the standard library only and no site packages, so
that it is up in a few milliseconds. It forks away from the process that started it and lives in a session of
its own: signals to a notebook kernel's process group reach neither it nor the server.

A user holds a connection to the keeper's socket. Lines of text go over it:

    user -> keeper   hello <pid>     the user is there and waits for the server
                     bye             the user goes on purpose
                     listen <host> <port>   other machines shall reach the server, too (tlsproxy.py)
                     listening?      where do they?
                     deaf            they shall not, any more
    keeper -> user   ready <keeper pid> <server pid>
                     loading         the server still reads its data, "ready" follows
                     failed          the rest, up to the end of the stream, says why
                     cannot <errno> <what>   this machine refuses something: a lock, a process, room
                     listening <host> <port>   answers all three of the questions, as does
                     deaf <reason>

The first user's connection is one half of a socket pair, inherited as descriptor 0.

The last ``bye`` stops the server and the keeper at once. A connection that ends without ``bye`` (a killed
kernel) leaves both for the linger time. The end of the stream tells the last user that everything is down and
written.

Two files are locked with flock, so a crash leaves nothing stale: ``keeper.lock`` by the keeper,
``server.lock`` by the server process itself, which inherits the descriptor. ``keeper.lock`` holds the
keeper's pid, also the number of the session and process group of its processes: keeper, guard, server.
"""

# pathlib would double the start time.
# ruff: noqa: PTH103, PTH105, PTH106, PTH108, PTH110, PTH112, PTH114, PTH116, PTH118, PTH119, PTH120, PTH123, PTH208

from __future__ import annotations

import os
import sys
import time

if __package__:
    from . import life
else:
    # As a program it has no package around it.
    import life  # type: ignore[import-not-found, no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

KEEPER_LOCK = "keeper.lock"
KEEPER_SOCKET = "keeper.sock"
SERVER_LOCK = "server.lock"
SERVER_SOCKET = "server.sock"
SERVER_LOG = "server.log"
DATA_FOLDER = "data"
LISTEN_FOLDER = "listen"
#: Large values that are not in the server, beside its data; and in memory, where there is such a folder.
VALUES_FOLDER = "values"
#: In the folder in memory, a link to that of the data.
HOME_LINK = "home"
MEMORY = "/dev/shm"  # noqa: S108 - what is in it is ours alone, and looked at before it is used

DATA_LIFE_S = 24 * 3600.0
TOUCH_EVERY_S = 3600.0
READY_POLL_S = 0.001
LOADING_EVERY_S = 1.0
SHUTDOWN_S = 10.0
#: Seconds that a server may take to write what it has done, before it is told to end.
WRITTEN_S = 5.0
ORPHAN_S = 3.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
STEADY_AFTER_S = 10.0
#: Starts in a row that may fail before waiting users are told.
START_TRIES = 3
LOG_MAX_BYTES = 1 << 20
#: A proxy that has died is started again after this time.
PROXY_AGAIN_S = 0.5
#: Redis 6.2 refuses the first form.
SHUTDOWN_COMMAND = b"SHUTDOWN NOSAVE NOW FORCE\r\nSHUTDOWN NOSAVE\r\n"
#: Longer than a stop takes.
PAUSE_COMMAND = b"CLIENT PAUSE 60000 WRITE\r\n"
DEAF = b"deaf nobody has asked for it"


# --- files and locks ----------------------------------------------------------------------------------------


def take_lock(path: str) -> int | None:
    """Return a descriptor that holds the lock on ``path``, or None where somebody else has it."""
    import fcntl

    while True:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError as error:
            os.close(fd)
            raise OSError(error.errno, "lock", path) from error
        if is_same_file(fd, path):
            return fd
        # A sweep removed the file between open and flock: this lock would exclude nobody.
        os.close(fd)


def is_same_file(fd: int, path: str) -> bool:
    """Tell whether ``path`` still names the file behind ``fd``."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except OSError:
        return


def remove_tree(path: str) -> None:
    """Remove a folder and what is in it, as far as that is possible."""
    for base, folders, files in os.walk(path, topdown=False):
        for name in files:
            remove(os.path.join(base, name))
        for name in folders:
            try:
                os.rmdir(os.path.join(base, name))
            except OSError:
                remove(os.path.join(base, name))
    try:
        os.rmdir(path)
    except OSError:
        return


def last_used(folder: str) -> float:
    """Return the epoch seconds at which the newest file of a server's folder was written."""
    newest = 0.0
    for base, _, files in os.walk(folder):
        for name in files:
            try:
                newest = max(newest, os.stat(os.path.join(base, name)).st_mtime)
            except OSError:
                continue
    return newest


def memory_folder(folder: str) -> str | None:
    """Return the folder in memory that belongs to a server, which may not be there yet; None where that cannot be."""
    if not os.path.isdir(MEMORY):
        return None
    return os.path.join(MEMORY, f"nbtasks-{os.getuid()}", os.path.basename(folder))


def _own_memory_folder(folder: str) -> str | None:
    """Return that folder where it is there, and nobody else can have put anything into it."""
    found = memory_folder(folder)
    return found if found is not None and _is_ours(os.path.dirname(found)) and _is_ours(found) else None


def _is_ours(folder: str) -> bool:
    """Whether a folder is there, and nobody else may use it."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    return facts.st_uid == os.getuid() and facts.st_mode & 0o170077 == 0o040000


def keep_values(folder: str) -> None:
    """Move the large values of a server from memory to the disk: they may be wanted tomorrow, the memory is now."""
    source, target = _own_memory_folder(folder), os.path.join(folder, VALUES_FOLDER)
    if source is None:
        return
    os.makedirs(target, 0o700, exist_ok=True)
    for name in os.listdir(source):
        if name == HOME_LINK:
            continue
        try:
            _move(os.path.join(source, name), os.path.join(target, name))
        except OSError as error:
            note(f"{name} is lost: {error}")
    remove_tree(source)


def remove_values(folder: str) -> None:
    """Remove the large values of a server."""
    for place in (_own_memory_folder(folder), os.path.join(folder, VALUES_FOLDER)):
        if place is not None:
            remove_tree(place)


def _move(source: str, target: str) -> None:
    """Move a file to another file system; at every moment one of both is whole."""
    import shutil

    shutil.copyfile(source, f"{target}.part", follow_symlinks=False)
    os.replace(f"{target}.part", target)
    remove(source)


def tail(path: str, lines: int = 12) -> str:
    """Return the last lines of a text file, or an empty text."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def limit_log(path: str) -> None:
    """Set a log aside that has grown too large."""
    try:
        if os.stat(path).st_size > LOG_MAX_BYTES:
            os.replace(path, path + ".1")
    except OSError:
        pass


# --- the server ---------------------------------------------------------------------------------------------


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


class Server:
    """The server process: start, look, stop. Never blocks except in :meth:`stop`."""

    def __init__(self, folder: str, sockets: str, binary: str) -> None:
        self.folder = folder
        self.socket_path = os.path.join(sockets, SERVER_SOCKET)
        self.binary = binary
        self.pid = 0
        self.ready = False
        self.started_at = 0.0
        self.life = life.Life(folder, os.path.join(folder, DATA_FOLDER))
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


# --- other machines -----------------------------------------------------------------------------------------


class Listener:
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


# --- the keeper ---------------------------------------------------------------------------------------------


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
        self.listener = Listener(folder, server.socket_path)
        #: Users that wait for the listener's answer.
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
                elif number in self.listener.descriptors():
                    self.listener.hear()
                elif number in self.users:
                    self._hear(self.users[number])
            self._care_for_server()
            self._care_for_listener()
            self._housekeep()

    def _others(self) -> list[int]:
        return [*self.server.descriptors(), *self.listener.descriptors()]

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
            self.listener.serve(*(word.decode(errors="replace") for word in words[1:]))
        elif words[0] == b"deaf":
            self.listener.stop()
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
        if self.listener.start_again_at is not None:
            due.append(self.listener.start_again_at)
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
            elif pid == self.listener.pid:
                self.listener.ended()

    def _care_for_listener(self) -> None:
        self.listener.care()
        if self.curious and self.listener.answer:
            self._tell(self.listener.answer + b"\n", self.curious)
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


def sweep(folder: str, sockets: str) -> None:
    """Remove the folders of other servers that nobody has used for DATA_LIFE_S seconds."""
    parent = os.path.dirname(folder)
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        if path != folder and os.path.isdir(path) and _is_old(path):
            try:
                _sweep_one(path, os.path.join(os.path.dirname(sockets), name))
            except OSError as error:
                note(f"{path} is left as it is: {error}")


def _sweep_one(path: str, sockets: str) -> None:
    locks = [take_lock(os.path.join(path, KEEPER_LOCK))]
    if locks[0] is not None:
        locks.append(take_lock(os.path.join(path, SERVER_LOCK)))
    if None not in locks and _is_old(path):
        remove_tree(path)
        remove_tree(sockets)
        remove_values(path)
    for lock in locks:
        if lock is not None:
            os.close(lock)


def sweep_memory(folder: str) -> None:
    """Remove the large values in memory of servers whose folder is gone, of whatever state folder they were."""
    parent = os.path.dirname(memory_folder(folder) or "")
    for name in os.listdir(parent) if parent and _is_ours(parent) else ():
        link = os.path.join(parent, name, HOME_LINK)
        if os.path.islink(link) and not os.path.exists(link):
            remove_tree(os.path.join(parent, name))


def _is_old(folder: str) -> bool:
    return time.time() - last_used(folder) > DATA_LIFE_S


def note(text: str) -> None:
    """Write a line to the keeper's log (its standard error)."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {os.getpid()} {text}\n")
    sys.stderr.flush()


# --- start --------------------------------------------------------------------------------------------------


def leave_the_starter() -> None:
    """Go on in a session of our own, as nobody's child, with nothing inherited but descriptors 0 to 2."""
    try:
        pid = os.fork()
    except OSError as error:
        confess(error, {})
        raise
    if pid:
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    os.closerange(3, 4096)


def clear_the_place(folder: str, sockets: str, lock: int) -> None:
    """Make the folder ours: no server of a killed keeper, no old data, our pid in the lock file."""
    written = os.read(lock, 32)
    stop_orphan(folder, sockets, int(written) if written.isdigit() else 0)
    if _is_old(folder):
        remove_tree(os.path.join(folder, DATA_FOLDER))
        remove_values(folder)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    limit_log(os.path.join(folder, "keeper.log"))


def listen(path: str) -> socket.socket:
    """Return a listening unix socket in place of whatever was left there."""
    import socket

    remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    listener.setblocking(False)
    return listener


def catch_signals(keeper: Keeper) -> int:
    """Make signals wake the keeper; return the descriptor to watch."""
    import signal

    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)

    def terminate(*_: object) -> None:
        keeper.terminated = True

    signal.signal(signal.SIGTERM, terminate)
    return reader


def first_user() -> socket.socket:
    """Return the connection inherited as descriptor 0, and free that descriptor."""
    import socket

    user = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    return user


def serve(folder: str, sockets: str, lock: int, keeper: Keeper) -> None:
    """Run the keeper to its end and leave nothing behind but data and logs."""
    path = os.path.join(sockets, KEEPER_SOCKET)
    try:
        wake = catch_signals(keeper)
        listener = listen(path)
        keeper.run(first_user(), wake, listener)
    except OSError as error:
        confess(error, keeper.users)
        raise
    finally:
        # Where the folder was removed and perhaps made anew, the sockets are another keeper's, and a server
        # that stops by itself would remove them.
        ours = is_same_file(lock, os.path.join(folder, KEEPER_LOCK))
        if ours:
            remove(path)
        keeper.listener.stop()
        keeper.server.stop(by_force=not ours)
        if keeper.guard is not None:
            keeper.guard.dismiss()
        keep_values(folder)
        os.utime(lock)


def begin(folder: str, sockets: str, binary: str) -> tuple[Server, int]:
    """Start the server, as the only keeper of this folder; return it and the lock."""
    try:
        lock = take_lock(os.path.join(folder, KEEPER_LOCK))
        if lock is None:
            os._exit(0)
        clear_the_place(folder, sockets, lock)
        server = Server(folder, sockets, binary)
        # The slower imports happen while the server comes up.
        server.start()
    except OSError as error:
        confess(error, {})
        raise
    return server, lock


def confess(error: OSError, users: dict[int, socket.socket]) -> None:
    """Tell users, and who has started this, what cannot be done here."""
    what = f"{error.strerror} {error.filename}" if error.filename else error.strerror
    line = f"cannot {error.errno} {what}".replace("\n", " ").encode("utf-8", "surrogateescape") + b"\n"
    for fd in users or (0,):
        try:
            os.write(fd, line)
        except OSError:
            continue


def main() -> None:
    """Run a keeper; folder, socket folder, server binary and linger seconds are the arguments."""
    folder, sockets, binary, linger_s = sys.argv[1:5]
    try:
        leave_the_starter()
        server, lock = begin(folder, sockets, binary)
        serve(folder, sockets, lock, Keeper(folder, sockets, server, float(linger_s)))
    except BaseException:  # noqa: BLE001 - this is the top: what went wrong belongs in the log
        sys.excepthook(*sys.exc_info())
    # No interpreter shutdown: users wait for the end of their connection.
    os._exit(0)
