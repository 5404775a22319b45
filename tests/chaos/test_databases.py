"""A database server is killed, stopped, out of room, cut off, or rid of connections, under calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .databases import MARIADB, POSTGRESQL, DatabaseKind, DatabaseSite, database_site, run_through

pytestmark = pytest.mark.long


@pytest.fixture(params=[POSTGRESQL, MARIADB], ids=["postgresql", "mariadb"])
def kind(request: pytest.FixtureRequest) -> DatabaseKind:
    """Which one."""
    found: DatabaseKind = request.param
    return found


@pytest.fixture
def site(
    kind: DatabaseKind, start_server: Any, machine: Any, home: Path, run_folder: Path, seed: int
) -> Iterator[Callable[..., DatabaseSite]]:
    """``site(disk_mb=200)`` starts a server with these options, and what is around it."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            database_site(kind, start_server, machine, run_folder, seed, **options)
        )


@pytest.mark.parametrize("n", [150, 3000])
def test_the_server_is_killed(site, matrix, faults, n):
    here = site()

    def kill():
        for _ in range(1 if n < 1000 else 2):
            here.server.kill()
            here.server.start()

    run_through(here, matrix, faults, "kill -9 of the server", kill, n=n)


def test_the_server_is_stopped_and_started(site, matrix, faults):
    here = site()

    def stop():
        here.server.stop()
        time.sleep(3.0)
        here.server.start()

    run_through(here, matrix, faults, "the server is stopped for 3 s, longer than leases", stop, n=1000)


def test_its_disk_is_full(site, matrix, faults):
    here = site(disk_mb=160)

    def fill():
        here.server.fill_disk()
        time.sleep(3.0)
        here.server.free_disk()
        if not here.server.running:
            # Where no room is left for what it writes ahead, it ends itself.
            here.server.kill()
            here.server.start()
        here.server.await_ready()

    run_through(here, matrix, faults, "disk full for 3 s", fill, n=3000)
    assert here.kind.full in here.server.log.read_text(errors="replace")


def test_connections_are_cut_again_and_again(site, matrix, faults, chance):
    here = site()

    def cut():
        with faults.again_and_again(here.proxy.reconnect, chance, 0.05, 0.4):
            time.sleep(8.0)

    run_through(here, matrix, faults, "all connections cut, again and again for 8 s", cut, n=2000)


def test_connections_are_reset(site, matrix, faults):
    here = site()

    def reset():
        here.proxy.reset_rate = 0.01
        time.sleep(8.0)
        here.proxy.reset_rate = 0.0

    run_through(here, matrix, faults, "1 % of packets reset the connection", reset, n=2000)


def test_the_network_falls_silent(site, matrix, faults):
    here = site()

    def fall_silent():
        here.proxy.go_silent()
        time.sleep(5.0)
        here.proxy.heal()

    run_through(here, matrix, faults, "network silent for 5 s (half-open)", fall_silent, n=600)


def test_the_server_stands_still(site, matrix, faults):
    """As one does whose machine swaps: connections stay, nothing is answered."""
    here = site()

    def pause():
        with here.server.paused():
            time.sleep(10.0)

    run_through(here, matrix, faults, "SIGSTOP of the server for 10 s, then SIGCONT", pause, n=1000)


def test_the_server_ends_connections(site, matrix, faults, chance):
    here = site()

    def strike():
        numbers = [one for (one,) in here.rows(here.kind.connections, here.database)]
        for one in chance.sample(numbers, min(2, len(numbers))):
            # It may have ended by itself.
            with contextlib.suppress(Exception):
                here.rows(here.kind.end, one)

    def end():
        with faults.again_and_again(strike, chance, 0.05, 0.3):
            time.sleep(8.0)

    run_through(here, matrix, faults, here.kind.row, end, n=2000)
