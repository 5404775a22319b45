"""The network between both ends and the server is cut, falls silent, is slow, loses replies."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.broker.scripts import SCRIPTS

from . import servers
from .proxy import Proxy

#: Both ends go on within so many seconds after a fault is over; tests wait ten times as long.
RESUME_S = 5.0
SOON = 10 * RESUME_S
N = 600
LONG_S = (0.3,) * 8
#: Connections and packets a second that a process may need for looking whether a server is back.
MOST_TRIES = 20


class Site:
    """A server behind a proxy, and an App with a worker that see the proxy only."""

    def __init__(self, server: servers.Server, proxy: Proxy, app: App) -> None:
        self.server, self.proxy, self.app = server, proxy, app


@pytest.fixture
def site(run_folder: Path, home: Path, machine, seed) -> Iterator[Site]:
    """Two children, and a client, behind a proxy."""
    with tempfile.TemporaryDirectory(prefix="s", dir=run_folder) as name:
        server = servers.Server(servers.find("bundled"), Path(name), ("--appendonly", "yes"))
        server.start()
        proxy = Proxy(server.socket, Path(name), seed=seed)
        with App("site", broker=proxy.url) as app:
            machine(app, concurrency=2)
            yield Site(server, proxy, app)
            proxy.heal()
        proxy.close()
        server.kill()


def seconds_to_resume(app: App) -> float:
    """Submit a call now, and return how long its result takes."""
    began = time.monotonic()
    while True:
        try:
            assert app.task(len).delay("abc").get(timeout=SOON) == 3
            return time.monotonic() - began
        except OSError:
            raise
        except Exception as error:
            if time.monotonic() - began > SOON:
                raise
            assert "cannot be reached" in str(error) or "not take writes" in str(error), error


def busiest(proxy: Proxy, since: float, until: float) -> float:
    """Return the connections and packets a second of the process that made most of them."""
    return max(proxy.traffic(since, until).values(), default=0) / (until - since)


def run_through(site: Site, matrix, faults, row: str, fault: Callable[[], None], n: int = N) -> None:
    """Submit a load, do harm when a part of it has ended, and measure how long the next call takes afterwards."""
    load = matrix.submit(site.app, n, long_s=LONG_S)
    load.wait_for(0.1)
    note = faults.note(row)
    fault()
    note.until = time.monotonic()
    took = seconds_to_resume(site.app)
    load.wait()
    # What ran when it began may run again until all have reconnected.
    note.until = time.monotonic()
    matrix.close(site.app, row, url=site.server.url, recovery_s=took, promised_s=RESUME_S)


def test_the_connection_is_cut(site, matrix, faults):
    def cut():
        site.proxy.cut()
        began = time.monotonic()
        time.sleep(2.0)
        assert busiest(site.proxy, began, time.monotonic()) < MOST_TRIES
        site.proxy.heal()

    run_through(site, matrix, faults, "connections cut for 2 s", cut)


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(400)])])
def test_the_network_falls_silent(site, matrix, faults, seconds):
    def fall_silent():
        site.proxy.go_silent()
        began = time.monotonic()
        time.sleep(seconds)
        assert busiest(site.proxy, began, time.monotonic()) < MOST_TRIES
        site.proxy.heal()

    run_through(site, matrix, faults, f"network silent for {seconds} s (half-open)", fall_silent)


def test_the_network_is_slow(site, matrix, faults):
    def slow_down():
        site.proxy.delay_s = 0.1

    run_through(site, matrix, faults, "200 ms latency", slow_down)


def test_connections_are_reset(site, matrix, faults):
    def begin():
        site.proxy.reset_rate = 0.01

    run_through(site, matrix, faults, "1 % of packets reset the connection", begin)
    assert site.proxy.resets


COMMANDS = {
    **{
        f"script {name}": b"EVALSHA\r\n.*" + SCRIPTS[name].sha.encode()
        for name in ("submit", "take", "finish", "renew", "promote", "give", "revoke")
    },
    "XREADGROUP": rb"XREADGROUP",
    "XREAD": rb"XREAD\r\n.*e:",
    "XPENDING": rb"XPENDING",
    "GETRANGE": rb"GETRANGE",
    "GET": rb"\r\nGET\r\n",
    "XTRIM": rb"XTRIM",
}
