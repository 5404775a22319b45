"""Clocks that are set while calls wait and run: of the server, of workers, of the client; forward and back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from nbtasks import App

from . import servers
from .clocks import Clock, library
from .conftest import LEASE_S
from .load import REAP_S

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
#: Seconds ahead, one after the other: after an hour's jump the way back is one, too.
FEW = (HOUR, 0.0, -HOUR)
JUMPS = (20.0, HOUR, 0.0, -HOUR, 0.0, DAY, -DAY, 0.0)
SOON = 60.0


@pytest.fixture
def clock(run_folder):
    """``clock()`` makes a clock for some processes."""
    try:
        library()
    except servers.Missing as error:
        pytest.skip(str(error))
    return lambda: Clock(Path(tempfile.mkdtemp(prefix="c", dir=run_folder)))


@pytest.fixture
def flavour():
    """The server of most rows. Debian's Redis does not start with such a clock."""
    return "bundled"


@pytest.fixture
def server_clock(clock):
    return clock()


@pytest.fixture
def server(flavour, server_clock, run_folder):
    """A server with a clock of its own."""
    try:
        found = servers.find(flavour)
    except servers.Missing as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="s", dir=run_folder) as folder:
        made = servers.Server(found, Path(folder), environment=server_clock.environment)
        try:
            made.start()
            yield made
        finally:
            made.kill()


@pytest.fixture
def idle_app(server, home):
    """An App without workers on that server."""
    with App("test", broker=server.url) as app:
        yield app


def set_again_and_again(clock, load, jumps, faults):
    """Set a clock through the whole of a load, in even steps of its progress."""
    for number, ahead_s in enumerate(jumps):
        load.wait_for((number + 0.5) / (len(jumps) + 1))
        # It touches nobody: no call may be executed again for it.
        faults.note("clock", ()).until = time.monotonic()
        clock.set(ahead_s)


def moments(app):
    """Submit calls with deadlines that a jump could bring too early; the last two are of a queue that nobody serves."""
    task = app.task(abs)
    return {
        "to come later": task.apply_async((1,), countdown=600, expires=HOUR),
        "to expire later": task.apply_async((1,), queue="nobody", expires=600),
        "to expire": task.apply_async((1,), queue="nobody", expires=4),
    }


def check_moments(calls, eventually):
    eventually(lambda: calls["to expire"].state == "REVOKED", "its time is over", within=SOON)
    assert calls["to come later"].state == "PENDING"
    assert calls["to expire later"].state == "PENDING"


def jumps(row, clock, app, matrix, faults, eventually, jumps=JUMPS):
    """A row: two workers have calls of several leases while a clock is set."""
    matrix.warm_up(app)
    calls = moments(app)
    load = matrix.submit(app, 80 * len(jumps), chunk=10, long_s=[2 * LEASE_S] * len(jumps), expires=HOUR)
    set_again_and_again(clock, load, jumps, faults)
    soon = app.task(abs).apply_async((-3,), countdown=2, expires=MINUTE)
    load.wait()
    assert soon.get(timeout=SOON) == 3
    check_moments(calls, eventually)
    for call in calls.values():
        call.revoke()
        call.forget()
    soon.forget()
    matrix.close(app, row)


def two_workers_and(clock, idle_app, machine, matrix, faults, eventually, jumps_s):
    machine(idle_app)
    machine(idle_app)
    row = "the server's clock is set, forward and back"
    jumps(row, clock, idle_app, matrix, faults, eventually, jumps_s)


@pytest.mark.long
def test_the_servers(idle_app, machine, server_clock, matrix, faults, eventually):
    two_workers_and(server_clock, idle_app, machine, matrix, faults, eventually, FEW)


@pytest.mark.long
@pytest.mark.parametrize("flavour", ["bundled", "redis-6.2"])
def test_the_servers_by_a_day(idle_app, machine, server_clock, matrix, faults, eventually, flavour):
    two_workers_and(server_clock, idle_app, machine, matrix, faults, eventually, JUMPS)


@pytest.mark.long
def test_a_workers(idle_app, clock, machine, matrix, faults, eventually):
    set_one = clock()
    machine(idle_app, environment=set_one.environment)
    machine(idle_app)
    jumps("a worker's clock is set, forward and back", set_one, idle_app, matrix, faults, eventually)
    set_one.set(HOUR)
    for one in idle_app.workers():
        assert abs(one.seen_at - time.time()) < MINUTE, "when it was seen, the one who looks knows"


@pytest.mark.long
def test_those_of_a_whole_machine(idle_app, server_clock, machine, matrix, faults, eventually):
    """As when a laptop asks for the time after its sleep."""
    machine(idle_app, environment=server_clock.environment)
    machine(idle_app, environment=server_clock.environment)
    row = "the clock of server and workers is set, forward and back"
    jumps(row, server_clock, idle_app, matrix, faults, eventually)


CLIENT = """
import pathlib, sys, time
from nbtasks import App, TaskRevokedError

with App("client", broker=sys.argv[1]) as app:
    def hold(path):
        import pathlib, time
        while not pathlib.Path(path).exists():
            time.sleep(0.01)
        return 1

    held = app.task(hold).delay(sys.argv[2])
    while held.state != "STARTED":
        time.sleep(0.01)
    stays = app.task(abs).apply_async((1,), queue="nobody", expires=600)
    ends = app.task(abs).apply_async((1,), queue="nobody", expires=2)
    waits = app.task(abs).apply_async((-2,), countdown=600)
    print("ready", flush=True)
    sys.stdin.readline()
    late = app.task(abs).apply_async((1,), queue="nobody", expires=2)
    comes = app.task(abs).apply_async((-5,), countdown=1, expires=600)
    assert comes.get(timeout=60) == 5
    for call in (ends, late):
        try:
            call.get(timeout=60)
        except TaskRevokedError:
            pass
    assert (stays.state, waits.state) == ("PENDING", "PENDING"), (stays.state, waits.state)
    assert held.state == "STARTED", held.state
    pathlib.Path(sys.argv[2]).touch()
    assert held.get(timeout=60) == 1
    print("fine", flush=True)
"""


@pytest.mark.long
@pytest.mark.parametrize("ahead_s", [HOUR, -HOUR, DAY])
def test_a_clients(idle_app, machine, clock, gate, ahead_s):
    set_one = clock()
    machine(idle_app)
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, idle_app.connection.url, gate.path],
        env={**os.environ, **set_one.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout.readline() == "ready\n"
        set_one.set(ahead_s)
        client.stdin.write("\n")
        client.stdin.flush()
        assert client.stdout.readline() == "fine\n"


@pytest.mark.long
@pytest.mark.parametrize("ahead_s", [-HOUR, pytest.param(HOUR, marks=pytest.mark.long)])
def test_a_dead_worker_is_found_all_the_same(
    idle_app, machine, server_clock, faults, gate, eventually, ahead_s
):
    """Its lease does not last longer, nor do the locks of the one who was elected to look."""
    doomed, other = machine(idle_app), machine(idle_app)
    other.end()

    def where(path):
        import os
        import pathlib

        if os.environ.get("SECOND"):
            return "elsewhere"
        while not pathlib.Path(path).exists():
            time.sleep(0.01)
        return "here"

    call = idle_app.task(where).delay(gate.path)
    eventually(lambda: call.state == "STARTED", "it runs")
    machine(idle_app, environment={"SECOND": "1"})
    server_clock.set(ahead_s)
    faults.kill(doomed.pids())
    assert call.get(timeout=10 * (LEASE_S + REAP_S)) == "elsewhere"


@contextlib.contextmanager
def asleep(pids, faults):
    """Stop processes as a machine that sleeps, for several leases. Nobody may take their calls meanwhile, nor later."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        yield
    finally:
        time.sleep(max(0.0, began + 3 * LEASE_S - time.monotonic()))
        # It touches nobody: no call may be executed again for it.
        faults.note("sleep", ()).until = time.monotonic()
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("workers", "acks_late"),
    [pytest.param(*one, marks=pytest.mark.long) for one in [(1, True), (1, False), (2, False), (2, True)]],
)
def test_a_machine_that_sleeps_takes_no_calls_from_itself(
    idle_app, server, server_clock, machine, matrix, faults, workers, acks_late
):
    """All of it: the server too, and its clock is another one when it wakes."""
    made = [machine(idle_app, environment=server_clock.environment) for _ in range(workers)]
    matrix.warm_up(idle_app)
    sleeps = 2 if workers == 1 and acks_late else 6
    load = matrix.submit(
        idle_app,
        80 * sleeps,
        chunk=10,
        long_s=[0.5] * 3 * sleeps,
        task_options={"acks_late": acks_late},
        within=200,
    )
    for number in range(sleeps):
        load.wait_for((number + 0.5) / (sleeps + 1))
        pids = [pid for one in made for pid in one.pids()]
        with asleep([*pids, *([server.process.pid] if number % 2 else [])], faults):
            server_clock.set(HOUR * (number + 1))
    load.wait(200)
    row = "a machine with all its workers sleeps; its clock is another one then"
    matrix.close(idle_app, row if acks_late else f"acks_late=False: {row}")
