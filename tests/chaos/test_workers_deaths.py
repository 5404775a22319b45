"""Calls that kill their process, at-most-once under kills, duplicates, scale-in, children that are replaced."""

from __future__ import annotations

import math
import signal

import pytest

from .conftest import every_leg
from .load import MOST_LOSSES

EXIT = "import os; os.write(2, b'last words\\n'); os._exit(7)"
SEGFAULT = "import ctypes; ctypes.string_at(0)"


@pytest.mark.parametrize("deed", [EXIT, SEGFAULT], ids=["exit", "segfault"])
@every_leg
def test_a_poison_call_in_a_chunk_of_100(deed, idle_app, machine, matrix, faults, chance):
    machine(idle_app)
    matrix.warm_up(idle_app)
    poison = chance.randrange(100)
    load = matrix.submit(idle_app, 100, chunk=100, deeds={poison: deed}, judged={"failing": [poison]})
    load.wait()
    runs = load.executions()
    faults.note_broken("poison", runs[poison])
    assert len(runs[poison]) == MOST_LOSSES
    state, error = load.seen[poison]
    assert state == "FAILURE"
    assert "WorkerLostError" in error
    assert f"died ({MOST_LOSSES} times)" in error
    assert "MB of memory" in error
    assert ("exit code 7" if deed is EXIT else "signal 11 (SIGSEGV)") in error
    assert ("last words" if deed is EXIT else "Segmentation fault") in error
    matrix.close(
        idle_app, f"a poison call ({'os._exit' if deed is EXIT else 'a segfault'}) in a chunk of 100"
    )


def test_a_poison_call_alone(idle_app, machine, matrix, faults):
    machine(idle_app)
    load = matrix.submit(idle_app, 1, deeds={0: SEGFAULT}, judged={"failing": [0]})
    load.wait()
    faults.note_broken("poison", load.executions()[0])
    assert len(load.executions()[0]) == MOST_LOSSES
    matrix.close(idle_app, "a poison call (a segfault) alone")


def test_a_call_that_takes_too_much_memory(idle_app, machine):
    """A limit of the process gives a MemoryError; the system's killer gives a lost worker that tells its memory."""
    from nbtasks import WorkerLostError

    machine(idle_app, concurrency=1)

    @idle_app.task
    def limited():
        import resource

        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (2**30, before[1]))
        try:
            return len(bytearray(2**31))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    @idle_app.task(acks_late=False)
    def killed():
        import os
        import sys

        data = bytearray(200 * 10**6)
        data[::4096] = b"x" * len(data[::4096])
        print("taking more", file=sys.stderr, flush=True)
        os.write(2, b"almost there\n")
        os.kill(os.getpid(), 9)

    with pytest.raises(MemoryError):
        limited.delay().get(timeout=30)
    with pytest.raises(WorkerLostError, match="out of memory") as caught:
        killed.delay().get(timeout=30)
    message = str(caught.value)
    assert "killed by signal 9 (SIGKILL)" in message
    taken = int(message.partition("taken up to ")[2].partition(" MB")[0].replace(",", ""))
    assert taken >= 200
    assert "almost there" in message
    assert idle_app.task(len).delay("abc").get(timeout=30) == 3


@pytest.mark.long
@pytest.mark.parametrize("n", [500, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
@every_leg
def test_at_most_once_under_kills(n, idle_app, machine, matrix, faults, chance):
    """Children die, and once a whole worker with all that it held."""
    one = machine(idle_app, concurrency=2)
    matrix.warm_up(idle_app)

    def strike():
        alive = one.children()
        if alive and load.got_on():
            faults.kill([chance.choice(alive)], "kill a child")

    load = matrix.submit(
        idle_app,
        n,
        long_s=[0.3] * 10,
        task_options={"acks_late": False},
        judged={"at_most_once": True},
        within=n / 5,
    )
    with faults.again_and_again(strike, chance, 0.1, 0.3):
        load.wait_for(0.5, n / 5)
    machine(idle_app, concurrency=2)
    faults.kill(one.pids(), "kill a worker")
    load.wait(n / 5)
    executions = load.executions()
    assert all(len(runs) == 1 for runs in executions.values())
    matrix.close(idle_app, "acks_late=False: kill -9 of children and of a worker")


def test_entries_that_are_delivered_twice(idle_app, machine, matrix, faults, inventory):
    load = matrix.submit(idle_app, 500)
    idle_app.session.flush()
    held = inventory(idle_app)
    fault = faults.note("copy every entry")
    fault.until = math.inf
    copied = 0
    for lane in held.lanes():
        for _, fields in held.client.xrange(lane):
            held.client.xadd(lane, fields)
            copied += 1
    assert copied
    machine(idle_app)
    load.wait()
    matrix.close(idle_app, "every entry delivered twice (a copy in the stream)")


@pytest.mark.long
@pytest.mark.parametrize("workers", [4, pytest.param(20, marks=pytest.mark.timeout(900))])
@every_leg
def test_workers_are_told_to_go(workers, idle_app, machine, matrix, faults, chance):
    """Scale-in: what runs ends, what is not started is given back; nothing runs twice, nothing is charged."""
    family = [machine(idle_app, concurrency=2) for _ in range(workers)]
    matrix.warm_up(idle_app)
    load = matrix.submit(idle_app, 250 * workers, long_s=[0.1] * 20 * workers)
    for number, one in enumerate(family[1:]):
        load.wait_for(0.8 * (number + 0.5) / workers)
        faults.kill([one.pid], "TERM", signal.SIGTERM)
    load.wait()
    assert all(one.process.wait(60) == 0 for one in family[1:])
    again = {index: runs for index, runs in load.executions().items() if [one.attempt for one in runs] != [1]}
    assert not again
    matrix.close(idle_app, "TERM to all workers but one")


@pytest.mark.long
def test_children_are_replaced_under_load(idle_app, machine, matrix):
    machine(idle_app, concurrency=2, max_tasks_per_child=20)
    load = matrix.submit(idle_app, 600)
    load.wait()
    runs = [run for one in load.executions().values() for run in one]
    assert len(runs) == 600
    per_child = {pid: sum(run.pid == pid for run in runs) for pid in {run.pid for run in runs}}
    assert max(per_child.values()) <= 20
    matrix.close(idle_app, "max_tasks_per_child=20 under load")
