"""Races between a revocation and its call: before it is fetched, in a buffer, running, finishing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from .conftest import alive_pid, every_leg
from .load import PATIENCE

#: A running call is stopped in milliseconds, a buffered one is left out in a tenth of a second.
SOON_S = 0.1
#: One that does not stop by itself is killed after so long.
KILLED_S = 2.0


def cpu_seconds(pid):
    """Return how much CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def revoke_some(load, group, chance, count, terminate, faults):
    """Revoke calls that have not ended, one after the other, near those that run; return when each was (monotonic)."""
    revoked = {}
    while len(revoked) < count:
        left = [index for index in range(len(group)) if index not in load.seen and index not in revoked]
        if not left:
            break
        # Calls run about in order: the first ones left are running, finishing or next.
        index = chance.choice(left[:12]) if chance.random() < 0.8 else chance.choice(left)
        faults.note("revoke", [])
        group[index].revoke(terminate=terminate)
        revoked[index] = time.monotonic()
    return revoked


@pytest.mark.parametrize(
    "terminate",
    [pytest.param(True, id="terminate"), pytest.param(False, id="revoke", marks=pytest.mark.long)],
)
@pytest.mark.parametrize(
    ("n", "count"),
    [(800, 300), pytest.param(12_000, 5000, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
@every_leg
def test_single_calls_are_revoked_at_any_moment(
    n, count, terminate, idle_app, machine, matrix, faults, chance
):
    """Each ends REVOKED or SUCCESS and stays so; its neighbours in the same chunk, and the next call, are not hit."""
    judged = {}
    machine(idle_app, concurrency=2)
    matrix.warm_up(idle_app)
    load = matrix.submit(idle_app, n, chunk=10, long_s=[0.01] * n, judged=judged, within=n / 10)
    judged["revoked"] = revoked = revoke_some(load, load.group, chance, count, terminate, faults)
    load.wait(n / 10)
    assert revoked
    executions = load.executions()
    assert all(len(runs) == 1 for runs in executions.values())
    states = {index: load.seen[index][0] for index in revoked}
    assert set(states.values()) <= {"REVOKED", "SUCCESS"}
    # What was not started by then was left out.
    late = [
        (index, runs)
        for index, runs in executions.items()
        if index in revoked and runs[0].started > revoked[index] + PATIENCE * SOON_S
    ]
    assert not late
    matrix.close(idle_app, f"revoke({'terminate=True' if terminate else ''}) of single calls at any moment")


@every_leg
def test_a_map_is_revoked_before_a_worker_has_it(idle_app, machine, matrix, faults):
    judged = {"revoked": range(300)}
    load = matrix.submit(idle_app, 300, judged=judged)
    faults.note("revoke", [])
    load.group.revoke()
    machine(idle_app)
    load.wait()
    assert idle_app.task(len).delay("abc").get(timeout=30) == 3
    assert not load.executions()
    assert {state for state, _ in load.seen.values()} == {"REVOKED"}
    matrix.close(idle_app, "revoke() of a map before a worker has it")


@pytest.mark.long
@every_leg
def test_maps_are_revoked_in_the_middle(idle_app, machine, matrix, faults, chance):
    """Again and again, with the next map right behind: that one is never hit."""
    machine(idle_app, concurrency=2)
    matrix.warm_up(idle_app)
    for _ in range(8):
        revoked = matrix.submit(idle_app, 200, chunk=10, judged={"revoked": range(200)}, long_s=[0.05] * 20)
        following = matrix.submit(idle_app, 50)
        revoked.wait_for(chance.uniform(0.0, 0.5))
        faults.note("revoke", [])
        revoked.group.revoke(terminate=True)
        asked_at = time.monotonic()
        revoked.wait()
        following.wait()
        runs = [one for each in revoked.executions().values() for one in each]
        assert all(one.started < asked_at + PATIENCE * SOON_S for one in runs)
    matrix.close(idle_app, "revoke(terminate=True) of a running map, another one follows")


def test_a_running_call_stops_at_once(idle_app, machine, matrix, faults, eventually):
    judged = {"revoked": [0]}
    machine(idle_app, concurrency=1)
    load = matrix.submit(
        idle_app, 1, judged=judged, deeds={0: "import socket; one, other = socket.socketpair(); one.recv(1)"}
    )
    eventually(load.executions, "it runs")
    faults.note("revoke", [])
    asked_at = time.monotonic()
    load.group.revoke(terminate=True)
    value = idle_app.task(len).delay("abc").get(timeout=PATIENCE)
    stopped_s = time.monotonic() - asked_at
    assert value == 3
    assert load.executions()[0][0].ended is None
    row = "revoke(terminate=True) of a call in a blocking recv, until its child runs the next one"
    matrix.close(idle_app, row, recovery_s=stopped_s, promised_s=SOON_S)


def test_a_deaf_call_is_killed(idle_app, machine, matrix, faults, eventually):
    """No signal reaches Python while C code runs: its process is killed, and nobody else's call with it."""
    deaf = "sum(range(10**12))"
    judged = {"revoked": [0]}
    machine(idle_app, concurrency=2)
    load = matrix.submit(idle_app, 1, judged=judged, deeds={0: deaf})
    runs = eventually(load.executions, "it runs")[0]
    # Before its C code has begun, the signal would do, and its process be spared.
    noted_s = cpu_seconds(runs[0].pid)
    eventually(lambda: cpu_seconds(runs[0].pid) > noted_s + 0.5, "it is deaf")
    rest = matrix.submit(idle_app, 100, long_s=[0.02] * 100)
    faults.note("revoke", [run.pid for run in runs])
    load.group.revoke(terminate=True)
    rest.wait()
    eventually(lambda: not alive_pid(runs[0].pid), "its process is killed", within=PATIENCE * KILLED_S)
    matrix.close(idle_app, "revoke(terminate=True) of a call that holds the GIL")
