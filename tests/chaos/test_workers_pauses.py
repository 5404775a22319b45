"""Workers that are silent without being dead: stopped like a sleeping machine, or busy and deaf."""

from __future__ import annotations

import contextlib
import time

import pytest

from .conftest import LEASE_S, every_leg, every_server
from .load import REAP_S

#: Sleeps without letting any other thread of the process run: what a C extension does that keeps the GIL.
DEAF = "import ctypes; ctypes.PyDLL(None).usleep(ctypes.c_uint({:d}))"
#: Keeps the GIL as well, in Python's own C code, for about so many seconds.
SORT = """
import random, time
numbers = [random.random() for _ in range(100_000)]
before = time.monotonic()
sorted(numbers)
one = time.monotonic() - before
sorted([random.random() for _ in range(int(100_000 * {seconds} / one * 0.7))])
"""
REGEX = "import re; re.match('(a+)+b', 'a' * {length:d})"


@contextlib.contextmanager
def stopped_amid_calls(load, sleeper, faults):
    """Stop a worker while each of its children runs a call: of one that just begins, the ledger does not tell yet."""
    for _ in range(200):
        with faults.stopped(sleeper.pids()) as stop:
            open_calls = [runs[-1] for runs in load.executions().values() if runs[-1].ended is None]
            if {one.pid for one in open_calls} >= set(sleeper.children()):
                yield stop
                return
        # To look into a long ledger takes longer than most calls: it needs some time in which it runs.
        time.sleep(0.05)
    raise AssertionError("the worker does not run calls in all of its children")


def pause(n, pauses, idle_app, machine, matrix, faults, eventually):
    """One of two workers is stopped for longer than its lease, then goes on, again and again."""
    sleeper = machine(idle_app)
    matrix.warm_up(idle_app)
    load = matrix.submit(idle_app, n, chunk=20, long_s=[0.2] * (n // 30), within=n / 5)
    started = False
    for number in range(pauses):
        load.wait_for((number + 0.3) / (pauses + 1))
        with stopped_amid_calls(load, sleeper, faults) as stop:
            if not started:
                machine(idle_app)
                started = True
            held = {index for index, runs in load.executions().items() if runs[-1].ended is None}
            eventually(
                lambda held=held: all(index in load.seen for index in held),
                "what the sleeper was running has been run elsewhere",
                within=10 * (LEASE_S + REAP_S),
            )
        yield load, stop
    load.wait(n / 5)
    matrix.close(
        idle_app, "SIGSTOP of a worker for longer than its lease, then SIGCONT", promised_s=LEASE_S + REAP_S
    )


def started_late(load, stop):
    """Calls that a stopped worker has started after its sleep although they were given to others meanwhile."""
    return [
        (index, runs)
        for index, runs in load.executions().items()
        for one in runs[1:]
        if one.pid in stop.pids and one.started > stop.until and runs[0].started < one.started
    ]


@pytest.mark.long
@every_leg
def test_a_stopped_worker_comes_back(idle_app, machine, matrix, faults, eventually):
    for load, stop in list(pause(600, 1, idle_app, machine, matrix, faults, eventually)):
        assert not started_late(load, stop)


@pytest.mark.long
@pytest.mark.timeout(900)
@every_server
def test_a_stopped_worker_comes_back_again_and_again(idle_app, machine, matrix, faults, eventually):
    for load, stop in list(pause(10_000, 8, idle_app, machine, matrix, faults, eventually)):
        assert not started_late(load, stop)


@pytest.mark.long
@every_leg
def test_long_and_deaf_calls_of_a_living_worker_run_once(idle_app, machine, matrix):
    """Eight leases long, or with the GIL held: the supervisor keeps the lease, so nobody else starts them."""
    machine(idle_app, concurrency=3, lease="0.5s")
    machine(idle_app, concurrency=2, lease="0.5s")
    matrix.warm_up(idle_app)
    deeds = {0: "import time; time.sleep(4)", 1: DEAF.format(1_500_000), 2: SORT.format(seconds=1.5)}
    load = matrix.submit(idle_app, 3, chunk=1, deeds=deeds)
    rest = matrix.submit(idle_app, 300)
    load.wait()
    rest.wait()
    assert all(len(runs) == 1 for runs in load.executions().values())
    matrix.close(idle_app, "calls of 8 leases, and with the GIL held for 3 leases, on living workers")


@pytest.mark.long
def test_calls_behind_deaf_ones_run_once_and_elsewhere(idle_app, machine, matrix):
    """The GIL is held for about as long as it takes until the supervisor gives away what waits."""
    machine(idle_app, concurrency=3)
    matrix.warm_up(idle_app)
    deeds = {index: DEAF.format(300_000 + 4_000 * index) for index in range(0, 200, 9)}
    load = matrix.submit(idle_app, 200, chunk=20, deeds=deeds)
    load.wait()
    assert all(len(runs) == 1 for runs in load.executions().values())
    matrix.close(
        idle_app, "calls that hold the GIL for 0.3 to 1.1 s, with others behind them in their chunks"
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_calls_that_are_deaf_for_more_than_a_minute_run_once(idle_app, machine, matrix):
    machine(idle_app, concurrency=4)
    machine(idle_app, concurrency=2)
    deeds = {
        0: DEAF.format(70_000_000),
        1: SORT.format(seconds=65),
        2: REGEX.format(length=31),
        3: f"import time; time.sleep({10 * LEASE_S})",
    }
    load = matrix.submit(idle_app, 4, chunk=1, deeds=deeds, within=600)
    rest = matrix.submit(idle_app, 5000, within=600)
    load.wait(600)
    rest.wait(600)
    assert all(len(runs) == 1 for runs in load.executions().values())
    assert load.executions()[0][0].ended - load.executions()[0][0].started > 60
    matrix.close(idle_app, "calls with the GIL held for more than a minute, on living workers")


@pytest.mark.long
@every_leg
def test_a_worker_whose_supervisor_sleeps_starts_nothing(idle_app, machine, matrix, faults, eventually):
    """Its lease is over, so others run what it holds; it must not start that as well."""
    one = machine(idle_app, concurrency=1)
    load = matrix.submit(idle_app, 40, chunk=40, long_s=[0.05] * 200)
    eventually(load.executions, "it runs")
    with faults.stopped([one.pid]) as stop:
        began = time.monotonic()
        machine(idle_app, concurrency=1)
        load.wait()
    stop.pids = frozenset(one.pids())
    children = set(one.children())
    late = [
        runs
        for runs in load.executions().values()
        for execution in runs
        if execution.pid in children and execution.started > began + LEASE_S
    ]
    assert not late
    matrix.close(
        idle_app, "SIGSTOP of a supervisor only, for longer than its lease", promised_s=LEASE_S + REAP_S
    )
