"""kill -9 of children, supervisors and whole workers: in the middle of a map, and at chosen moments."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from nbtasks import TimeoutError

from .conftest import LEASE_S, alive_pid, every_leg, every_server, processes_of_session
from .load import PATIENCE, REAP_S
from .sites import SOON

#: Some calls long enough that a blow hits them.
LONG_S = (0.3,) * 20
CHILD_S = 1.0
MACHINE_S = LEASE_S + REAP_S


def kill_children(n, idle_app, machine, matrix, faults, chance):
    """A load under blows against children."""
    one = machine(idle_app, concurrency=3)
    matrix.warm_up(idle_app)

    def strike():
        alive = one.children()
        if alive and load.got_on():
            faults.kill([chance.choice(alive)], "kill a child")

    load = matrix.submit(idle_app, n, long_s=LONG_S, within=n / 5)
    with matrix.watchdog(idle_app) as watchdog, faults.again_and_again(strike, chance, 0.05, 0.3):
        load.wait(n / 5)
    matrix.close(idle_app, "kill -9 of children, again and again", watchdog=watchdog)


@every_leg
def test_children_are_killed(idle_app, machine, matrix, faults, chance):
    kill_children(400, idle_app, machine, matrix, faults, chance)


@pytest.mark.long
@pytest.mark.timeout(900)
@every_server
@pytest.mark.parametrize("turn", range(2))
def test_children_are_killed_for_long(turn, idle_app, machine, matrix, faults, chance):
    kill_children(10_000, idle_app, machine, matrix, faults, chance)


def kill_machines(n, blows, whole, idle_app, machine, matrix, faults, chance, eventually):
    """A load on two workers, of which one is killed and replaced, again and again."""
    alive = [machine(idle_app), machine(idle_app)]
    matrix.warm_up(idle_app)
    load = matrix.submit(idle_app, n, long_s=LONG_S, within=n / 5)
    with matrix.watchdog(idle_app) as watchdog:
        for blow in range(blows):
            load.wait_for((blow + 0.5) / (blows + 1))
            victim = alive.pop(chance.randrange(2))
            pids = victim.pids()
            if whole:
                faults.kill(pids, "kill a worker")
            else:
                fault = faults.note("kill a supervisor", pids)
                victim.process.kill()
                # Its children notice, and end.
                eventually(lambda pids=pids: not any(map(alive_pid, pids)), "the children have ended")
                fault.until = time.monotonic()
            alive.append(machine(idle_app))
        load.wait(n / 5)
    what = "of all of a worker's processes" if whole else "of a supervisor"
    matrix.close(idle_app, f"kill -9 {what}, another one lives", promised_s=MACHINE_S, watchdog=watchdog)


@pytest.mark.long
@pytest.mark.parametrize(
    "whole",
    [pytest.param(False, id="supervisor", marks=pytest.mark.long), pytest.param(True, id="worker")],
)
@every_leg
def test_workers_are_killed(whole, idle_app, machine, matrix, faults, chance, eventually):
    kill_machines(500, 1, whole, idle_app, machine, matrix, faults, chance, eventually)


@pytest.mark.long
@pytest.mark.timeout(900)
@every_server
@pytest.mark.parametrize("whole", [False, True], ids=["supervisor", "worker"])
def test_workers_are_killed_for_long(whole, idle_app, machine, matrix, faults, chance, eventually):
    kill_machines(10_000, 15, whole, idle_app, machine, matrix, faults, chance, eventually)


# --- how soon a call is back ----------------------------------------------------------------------------------


def second_start(load, eventually, within):
    """Wait until the only call of a load was started again; return when (monotonic)."""
    eventually(lambda: len(load.executions().get(0, [])) == 2, "the call runs again", within=within)
    return load.executions()[0][1].started


@pytest.mark.long
def test_a_dead_childs_call_is_back_at_once(idle_app, machine, matrix, faults, eventually):
    machine(idle_app, concurrency=2)
    load = matrix.submit(idle_app, 1, long_s=[1.0])
    (run,) = eventually(lambda: load.executions().get(0), "the call runs")
    blow = faults.kill([run.pid], "kill a child")
    again = second_start(load, eventually, PATIENCE * CHILD_S)
    row = "kill -9 of a child, until its call runs again"
    matrix.close(idle_app, row, recovery_s=again - blow.at, promised_s=CHILD_S)


@pytest.mark.long
def test_a_dead_machines_call_is_back_after_its_lease(idle_app, machine, matrix, faults, eventually):
    both = [machine(idle_app), machine(idle_app)]
    load = matrix.submit(idle_app, 1, long_s=[2.0])
    (run,) = eventually(lambda: load.executions().get(0), "the call runs")
    (victim,) = [one for one in both if run.pid in one.pids()]
    blow = faults.kill(victim.pids(), "kill a worker")
    again = second_start(load, eventually, PATIENCE * MACHINE_S)
    row = "a machine dies, until its call runs elsewhere"
    matrix.close(idle_app, row, recovery_s=again - blow.at, promised_s=MACHINE_S)


@pytest.mark.long
def test_a_killed_local_worker_is_started_again(idle_app, matrix, faults):
    """The client that has started it knows at once that it is dead."""
    idle_app.start_workers(2, lease=LEASE_S)
    load = matrix.submit(idle_app, 300, long_s=[0.5] * 6)
    load.wait_for(0.3)
    faults.kill(processes_of_session(idle_app.local_workers.pid), "kill a local worker")
    load.wait()
    row = "kill -9 of a local worker, which is started again"
    matrix.close(idle_app, row, promised_s=MACHINE_S)


@pytest.mark.long
def test_a_local_worker_that_dies_five_times_at_once_is_given_up(idle_app, matrix, faults, eventually):
    """Its calls wait, and say why, until somebody starts workers."""
    idle_app.start_workers(2, lease=LEASE_S)
    workers = idle_app.local_workers
    load = matrix.submit(idle_app, 600, long_s=[0.5] * 6)
    load.wait_for(0.1)
    for _ in range(5):
        eventually(lambda: workers.running, "it runs")
        pid = workers.pid
        faults.kill(processes_of_session(pid), "kill a local worker")
        eventually(lambda pid=pid: workers.problem or workers.pid != pid, "it has died")
    eventually(lambda: workers.problem, "it is given up")
    waiting = next(one for one in load.group if not one.ready())
    told = eventually(
        lambda: "given up" in (waiting.why_pending() or "") and waiting.why_pending(), within=SOON
    )
    assert "SIGKILL, 5 times in a row" in told
    assert "%workers start" in told
    with pytest.raises(TimeoutError, match="5 times in a row"):
        waiting.get(timeout=0.1)
    idle_app.start_workers(2, lease=LEASE_S)
    load.wait()
    matrix.close(idle_app, "kill -9 of a local worker, 5 times at once; workers are started later")


# --- at chosen moments ----------------------------------------------------------------------------------------

#: Kills its process the first time it is unpickled.
TRAP = """
class Trap:
    def __init__(self, path, where):
        self.path, self.where = path, where

    def __getstate__(self):
        self.spring("pickle")
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.spring("unpickle")

    def spring(self, where):
        import os

        if where != self.where or not os.path.exists(self.path):
            return
        try:
            # Whoever removes the file is the first.
            os.unlink(self.path)
        except FileNotFoundError:
            return
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def trap(tmp_path):
    """``trap(where)`` returns an object that kills the first process that pickles or unpickles it."""
    space = {"__name__": "__main__"}
    exec(TRAP, space)

    def make(where):
        return space["Trap"](str(tmp_path / f"trap-{where}"), where)

    return make


@pytest.mark.parametrize("moment", ["function", pytest.param("arguments", marks=pytest.mark.long), "result"])
def test_a_child_dies_while_a_call_is_opened_or_packed(moment, app, trap, tmp_path):
    where = "pickle" if moment == "result" else "unpickle"
    one = trap(where)
    if where == "unpickle":
        # Nobody unpickles here, and a worker may begin before a submit has returned.
        (tmp_path / f"trap-{where}").touch()

    def work(x, given=None):
        return one if moment == "result" and x == 5 else (x, bool(one) if moment == "function" else None)

    if moment == "arguments":
        group = app.task(lambda x, given=None: (x, None)).starmap(
            [(x, one if x == 5 else None) for x in range(10)], chunk=5
        )
    else:
        group = app.task(work).map(range(10), chunk=5)
    if where == "pickle":
        (tmp_path / f"trap-{where}").touch()
    values = group.get(timeout=30)
    assert not (tmp_path / f"trap-{where}").exists(), "a process has died"
    assert [value[0] for index, value in enumerate(values) if index != 5 or moment != "result"] == [
        index for index in range(10) if index != 5 or moment != "result"
    ]


@pytest.mark.long
def test_a_function_that_kills_whoever_opens_it_is_given_up(app, tmp_path):
    """It dies before any call of it begins: still somebody has to be charged, or it would go on for ever."""
    from nbtasks import WorkerLostError

    class Bomb:
        def __setstate__(self, state):
            import os

            os.write(2, b"opening the bomb\n")
            os._exit(3)

        def __getstate__(self):
            return {"x": 1}

    bomb = Bomb()
    group = app.task(lambda x: (x, bomb)).map(range(4), chunk=4)
    errors = group.get(timeout=30, propagate=False)
    assert all(isinstance(error, WorkerLostError) for error in errors)
    assert "died (10 times)" in str(errors[3])
    assert "exit code 3" in str(errors[0])
    assert "opening the bomb" in str(errors[0])
    assert app.task(len).delay("abc").get(timeout=30) == 3


def test_a_result_that_kills_whoever_packs_it_is_given_up(app):
    from nbtasks import WorkerLostError

    class Bomb:
        def __reduce__(self):
            import os

            os._exit(4)

    def work(x):
        return Bomb() if x == 2 else x

    values = app.task(work).map(range(5), chunk=5).get(timeout=30, propagate=False)
    assert isinstance(values[2], WorkerLostError)
    assert "died (3 times)" in str(values[2])
    assert "exit code 4" in str(values[2])
    assert [values[0], values[1], values[3], values[4]] == [0, 1, 3, 4]


@pytest.mark.long
def test_a_child_dies_while_it_gives_calls_back(idle_app, machine, matrix, faults, chance):
    """TERM, and kill -9 a moment later."""
    load = matrix.submit(idle_app, 600, chunk=30, long_s=[0.05] * 60)
    for _ in range(4):
        one = machine(idle_app, concurrency=2)
        time.sleep(chance.uniform(0.0, 0.3))
        pids = one.pids()
        faults.kill([one.pid], "TERM", signal.SIGTERM)
        time.sleep(chance.uniform(0.0, 0.05))
        faults.kill(pids, "kill a worker")
    machine(idle_app, concurrency=2)
    load.wait()
    matrix.close(idle_app, "kill -9 of a worker while it gives its calls back")


def test_who_dies_while_it_waits_for_the_function_has_started_nothing(site, eventually):
    """However often; even calls with ``acks_late=False`` are run then."""
    here = site("bundled")
    task = here.app.task(lambda x: 2 * x, acks_late=False)
    never = [here.proxy.lose_reply(rb"(?s)\r\nGET\r\n.*:f:") for _ in range(1000)]
    group = task.map(range(3), chunk=3, quiet=True)
    here.app.session.flush()
    for _ in range(4):
        seen = sum(loss.happened.is_set() for loss in never)
        eventually(
            lambda: sum(loss.happened.is_set() for loss in never) > seen + 1,  # noqa: B023
            "a child waits for the function, again and again",
        )
        for child in here.worker.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    here.proxy.forget_losses()
    assert group.get(timeout=SOON) == [0, 2, 4]
