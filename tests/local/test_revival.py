"""Keeper and server are killed, in every order: who uses them has them back, without asking for it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.local.server import embedded, serverprogram
from nbtasks.local.server.starting import Starting


def slow_square(number: int) -> int:
    time.sleep(0.05)
    return number * number


def group_of(keeper: int) -> dict[int, str]:
    """The keeper, its guard and its server, as pid -> name."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            if int(rest.split()[2]) == keeper and rest.split()[0] != "Z":
                found[int(entry.name)] = name
    return found


def kill(keeper: int, order: str) -> None:
    """Kill the keeper (k), its server (s) and its guard (g) one after the other; a dot is a pause."""
    members = group_of(keeper)
    server = [pid for pid, name in members.items() if name == "valkey-server"]
    guard = [pid for pid in members if pid != keeper and pid not in server]
    those = {"k": [keeper], "s": server, "g": guard}
    for letter in order:
        if letter == ".":
            time.sleep(0.2)
        for pid in those.get(letter, ()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.fixture
def servers(processes):
    return lambda: [
        pid for pid, command in processes().items() if command.split()[0].endswith("valkey-server")
    ]


@pytest.mark.parametrize(
    "order",
    ["sk", *(pytest.param(order, marks=pytest.mark.long) for order in ("k", "ks", "s.k", "gk", "kgs"))],
)
def test_a_map_that_somebody_waits_for_goes_on(app, servers, order):
    group = app.task(slow_square).map(range(40))
    app.task(slow_square).delay(1).get(timeout=60)
    kill(app._opened.lease.pid, order)
    assert group.get(timeout=60) == [number**2 for number in range(40)]
    assert app.task(slow_square).delay(3).get(timeout=60) == 9
    assert len(servers()) == 1


def test_results_and_address_are_those_of_before(app, eventually):
    result = app.task(slow_square).delay(5)
    assert result.get(timeout=60) == 25
    connection, keeper = app.connection, app._opened.lease.pid
    kill(keeper, "ks")
    eventually(lambda: app._opened.lease.pid != keeper, "another keeper runs")
    assert app.connection == connection
    with App(connection=connection) as other:
        assert other.AsyncResult(result.id).get(timeout=60) == 25


def test_a_keeper_that_is_told_to_end_is_replaced_as_well(app):
    group = app.task(slow_square).map(range(40))
    os.kill(app._opened.lease.pid, signal.SIGTERM)
    assert group.get(timeout=60) == [number**2 for number in range(40)]


def test_it_is_brought_back_as_often_as_it_is_killed(app, eventually):
    for _ in range(4):
        before = app._opened.lease.pid
        kill(before, "ks")
        eventually(lambda before=before: app._opened.lease.pid != before, "another keeper runs")
        assert app.task(slow_square).delay(3).get(timeout=60) == 9


def test_an_app_whose_server_is_killed_while_it_connects(home, monkeypatch):
    real = Starting.wait

    def wait(self, *args):
        line = real(self, *args)
        monkeypatch.setattr(Starting, "wait", real)
        kill(line.keeper_pid, "ks")
        return line

    monkeypatch.setattr(Starting, "wait", wait)
    with App() as app:
        assert app.batches() == []
        assert app.workers() == []


def test_kernels_that_notice_at_once_start_one(kernel, servers, eventually):
    kernels = [kernel() for _ in range(3)]
    pids = {each.acquire() for each in kernels}
    for each in kernels:
        each.run("_ = lease.keep_up()")
    (keeper,) = pids
    kill(keeper, "ks")
    eventually(lambda: all(each.run("lease.pid") != str(keeper) for each in kernels), "all are users again")
    assert len({each.run("lease.pid") for each in kernels}) == 1
    assert len(servers()) == 1
    for each in kernels:
        each.leave()
    eventually(lambda: not servers(), "the last goodbye stops it")


def test_a_lease_that_is_given_back_brings_nothing_back(lease, processes, eventually):
    lease.keep_up()
    kept = embedded.acquire()
    lease.close()
    kill(kept.pid, "ks")
    eventually(lambda: not processes(), "all are gone")
    kept.close()
    time.sleep(0.5)
    assert not processes()


def test_a_worker_that_outlives_its_kernel_brings_it_back(home, kernel, servers, eventually):
    first = kernel()
    first.run("from nbtasks import App")
    first.run("app = App()")
    first.run("app.start_workers(1, keep=True)")
    keeper = int(first.run("app._opened.lease.pid"))
    first.leave()
    kill(keeper, "ks")
    eventually(servers, "the worker has started a server")
    with App() as app:
        assert app._opened.lease is None
        assert app.task(slow_square).delay(4).get(timeout=60) == 16
        for worker in app.workers():
            os.kill(worker.pid, signal.SIGTERM)
        eventually(lambda: not app.workers(), "the worker has gone")


def test_what_hinders_it_is_told_and_tried_again(app, monkeypatch, caplog, eventually):
    lease, before = app._opened.lease, app._opened.lease.pid
    held = serverprogram.binary()
    monkeypatch.setattr(serverprogram, "binary", lambda: Path("/nowhere/valkey-server"))
    kill(before, "ks")
    eventually(lambda: "does not come back" in caplog.text, "it is said", within=90)
    monkeypatch.setattr(serverprogram, "binary", lambda: held)
    assert app.task(slow_square).delay(4).get(timeout=90) == 16
    assert lease.alive
