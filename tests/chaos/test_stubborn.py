"""Calls that do to their process what they can to go on: they are stopped, and nobody else is hit."""

from __future__ import annotations

import signal
import time

import pytest

from .conftest import alive_pid, processes_of_session
from .load import PATIENCE

#: What is promised: until a deaf call's process is killed, and until that of a late one is.
KILLED_S, LATE_S = 2.0, 1.0
GO_ON = "\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass"
START = "import os, signal, subprocess, threading, time\n"
SETTINGS = {
    **{
        f"ignores {name}": f"signal.signal(signal.{name}, signal.SIG_IGN)"
        for name in ("SIGTERM", "SIGINT", "SIGALRM")
    },
    **{
        f"handles {name}": f"signal.signal(signal.{name}, lambda *_: None)"
        for name in ("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD")
    },
    "handles all": "[signal.signal(n, lambda *_: None) for n in signal.valid_signals() - {9, 19}]",
    "blocks all": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "sets a timer": "signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)",
    "patches the clock": "rest = time.sleep; time.monotonic = time.time = lambda: 0.0; time.sleep = lambda s: rest(1)",
    "leaves its group": "os.setpgid(0, os.getpgid(os.getppid()))",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "stops the forkserver": "os.kill(os.getppid(), signal.SIGSTOP)",
    "starts threads": "[threading.Thread(target=time.sleep, args=(600,)).start() for _ in range(3)]",
    "starts processes": "[subprocess.Popen(['sleep', '600'], start_new_session=new) for new in (True, False)]",
    "forks": "os.fork() or time.sleep(600)",
}
#: One in ten calls of a load, in the middle of a chunk.
DEEDS = {10 * place + 5: START + code + GO_ON for place, code in enumerate(SETTINGS.values())}


def pids_of(load, indexes, eventually):
    """Wait until calls run; return their processes."""
    runs = eventually(
        lambda: (found := load.executions()) and all(index in found for index in indexes) and found,
        "they run",
    )
    return {index: runs[index][0].pid for index in indexes}


@pytest.mark.long
def test_stubborn_calls_are_revoked(idle_app, machine, matrix, faults, eventually):
    machine(idle_app, concurrency=len(DEEDS) + 2)
    matrix.warm_up(idle_app)
    judged = {"revoked": DEEDS}
    load = matrix.submit(idle_app, 10 * len(DEEDS), chunk=10, deeds=DEEDS, judged=judged, long_s=[0.2] * 20)
    pids = pids_of(load, DEEDS, eventually)
    fault = faults.note("revoke", pids.values())
    for index in DEEDS:
        load.group[index].revoke(terminate=True)
    load.wait()
    # By now what does not listen is dead, and its place taken.
    rest = matrix.submit(idle_app, 200, long_s=[0.2] * 50)
    rest.wait()
    fault.until = fault.at + PATIENCE * KILLED_S
    matrix.close(
        idle_app, "revoke(terminate=True) of calls that take over, ignore or block signals, timers, the clock"
    )


@pytest.mark.long
def test_stubborn_calls_are_late(idle_app, machine, matrix, faults, eventually):
    machine(idle_app, concurrency=len(DEEDS) + 2)
    matrix.warm_up(idle_app)
    load = matrix.submit(
        idle_app, 10 * len(DEEDS), chunk=10, deeds=DEEDS, judged={"failing": DEEDS}, task_options={"time_limit": 1.0},
        long_s=[0.2] * 20,
    )  # fmt: skip
    pids = pids_of(load, DEEDS, eventually)
    fault = faults.note("time limits", pids.values())
    load.wait()
    fault.until = time.monotonic()
    errors = {index: load.seen[index][1].partition(":")[0] for index in DEEDS}
    assert errors == dict.fromkeys(DEEDS, "TimeLimitExceeded")
    matrix.close(idle_app, "time limits of calls that take over, ignore or block signals, timers, the clock")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT], ids=["warm", "cold"])
def test_their_worker_ends(number, idle_app, machine, matrix, faults, eventually):
    """Told to end with TERM it lets what can end come to its end; with QUIT nothing of it is left, at once."""
    machine(idle_app, concurrency=2)
    matrix.warm_up(idle_app)
    going_on = "" if number == signal.SIGTERM else GO_ON
    deeds = {index: code.replace(GO_ON, going_on) for index, code in DEEDS.items()}
    if number == signal.SIGTERM:
        # What has stopped goes on when its worker is told to end, and what forks ends in both.
        deeds = {
            index: code for index, code in deeds.items() if "600) for" not in code and "os.fork" not in code
        }
    one = machine(idle_app, concurrency=len(DEEDS) + 2, queues="stubborn")
    judged = {"revoked": deeds}
    load = matrix.submit(
        idle_app, 10 * len(DEEDS), chunk=10, deeds=deeds, judged=judged, task_options={"queue": "stubborn"}
    )
    pids_of(load, deeds, eventually)
    left = processes_of_session(one.pid)
    faults.kill([one.pid], signal.Signals(number).name, number)
    fault = faults.note("the end of a worker", left)
    eventually(lambda: one.process.poll() is not None, "the worker has ended", within=20 * PATIENCE)
    fault.until = time.monotonic()
    eventually(lambda: not any(map(alive_pid, left)), "nothing of it is left")
    for index in deeds:
        load.group[index].revoke()
    machine(idle_app, concurrency=2, queues="stubborn")
    load.wait()
    matrix.close(idle_app, f"{signal.Signals(number).name} to a worker whose calls have taken over signals")
