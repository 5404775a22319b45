"""A server behind a proxy, a client and a worker that see the proxy only, and a server with data of its own."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtasks import App, OperationalError

from . import servers
from .load import PATIENCE
from .proxy import Proxy

#: Both ends go on within so many seconds after a fault is over; tests wait ten times as long.
RESUME_S = 5.0
SOON = PATIENCE * RESUME_S
#: Connections and packets a second that a process may need for looking whether a server is back.
MOST_TRIES = 20
DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec")


@dataclass
class Site:
    """What a row of the matrix breaks.

    Attributes:
        server: where the proxy leads to now.
        worker: a worker with two children, as ``machine`` has started it.
    """

    server: servers.Server
    proxy: Proxy
    app: App
    worker: Any
    folder: Path

    @property
    def name(self) -> str:
        """The server's flavour, for the report."""
        return self.server.flavour.name

    def seconds_to_resume(self) -> float:
        """Submit a call now, ahead of all others, and return the seconds until its result is there."""
        return seconds_to_resume(self.app)

    def busiest(self, since: float) -> float:
        """Return the connections and packets a second of the process that has made most of them."""
        now = time.monotonic()
        return max(self.proxy.traffic(since, now).values(), default=0) / (now - since)

    def another_server(self, *settings: str) -> servers.Server:
        """Start one more server, of the same flavour."""
        folder = Path(tempfile.mkdtemp(prefix="t", dir=self.folder))
        other = servers.Server(self.server.flavour, folder, settings)
        other.start()
        return other


def seconds_to_resume(app: App) -> float:
    """As :meth:`Site.seconds_to_resume`, of any App."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(OperationalError):
            handle = app.task(len).apply_async(("abc",), priority=9)
            assert handle.get(timeout=SOON) == 3
            return time.monotonic() - began
        assert time.monotonic() - began < SOON, "nothing goes on"


@contextlib.contextmanager
def site(
    run_folder: Path, machine: Any, flavour: str, settings: tuple[str, ...], seed: int
) -> Iterator[Site]:
    """Set one up, and take it down."""
    with tempfile.TemporaryDirectory(prefix="s", dir=run_folder) as name, contextlib.ExitStack() as stack:
        server = servers.Server(servers.find(flavour), Path(name), settings)
        server.start()
        proxy = Proxy(server.socket, Path(name), seed=seed)
        stack.callback(proxy.close)
        with App("site", broker=proxy.url) as app:
            made = Site(server, proxy, app, machine(app, concurrency=2), Path(name))
            try:
                yield made
            finally:
                # The worker first: what it would tell, nobody wants to know any more.
                made.worker.end()
                proxy.heal()
        made.server.kill()
