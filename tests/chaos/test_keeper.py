"""The embedded server and its keeper are killed, in every order, under load."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbtasks import App

from .conftest import processes_of_session
from .load import Faults
from .report import Row, write

N = 600
LONG_S = (0.3,) * 8
PROMISED_S = 5.0
ORDERS = {
    "the keeper": "k",
    "the server": "s",
    "the keeper, then the server": "ks",
    "the server, then the keeper": "sk",
    "the keeper, its guard and the server": "kgs",
}


def name_of(pid: int) -> str:
    """Return the name of a process; empty where it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def kill(keeper: int, order: str) -> None:
    """Kill the keeper (k), its server (s) and the guard (g), in this order."""
    members = processes_of_session(keeper)
    server = [pid for pid in members if name_of(pid) == "valkey-server"]
    guard = [pid for pid in members if pid != keeper and pid not in server]
    for letter in order:
        for pid in {"k": [keeper], "s": server, "g": guard}[letter]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize(
    "which",
    [name if order == "sk" else pytest.param(name, marks=pytest.mark.long) for name, order in ORDERS.items()],
)
def test_keeper_and_server_are_killed(
    which: str, idle_app, machine, matrix, faults: Faults, chance, eventually
) -> None:
    for _ in range(2):
        machine(idle_app)
    load = matrix.submit(idle_app, N, long_s=LONG_S)
    slowest = 0.0
    for share in (0.1, 0.4, 0.7):
        load.wait_for(share)
        time.sleep(chance.uniform(0.0, 0.1))
        keeper = idle_app._opened.lease.pid
        # The server may have lost what had ended in its last second, and gives it out again.
        notes = [faults.note(which) for _ in range(2)]
        killed_at = time.monotonic()
        kill(keeper, ORDERS[which])
        if "k" in ORDERS[which]:
            eventually(lambda keeper=keeper: idle_app._opened.lease.pid != keeper, "another keeper runs")
        ended = len(load.seen)
        eventually(
            lambda ended=ended: len(load.seen) > min(N - 1, ended), "calls go on", within=10 * PROMISED_S
        )
        slowest = max(slowest, time.monotonic() - killed_at)
        for note in notes:
            note.until = time.monotonic()
    matrix.close(idle_app, f"kill -9 of {which}, 3 times", recovery_s=slowest, promised_s=PROMISED_S)


def grown(array: Any, number: int) -> Any:
    """Task code: a large argument, a large result."""
    return array + number


def test_files_in_memory_are_cleared_away(idle_app, machine, faults: Faults, seed, eventually) -> None:
    """What a user manager does at log-out, and with the kill what is left after a power failure."""
    calls, floats = 60, 50_000
    machine(idle_app)
    array = np.arange(floats, dtype="f8")
    group = idle_app.task(grown).starmap([(array + 0, number) for number in range(calls)], quiet=True)
    for share in (0.2, 0.5, 0.8):
        eventually(lambda share=share: group.batch.finished_count >= share * calls, "calls end", within=100)
        faults.note("rm -r")
        shutil.rmtree(idle_app.session.files._folders[0], ignore_errors=True)
    group.until_ready(timeout=100)
    faults.note("kill")
    before = idle_app._opened.lease.pid
    kill(before, "ks")
    eventually(lambda: idle_app._opened.lease.pid != before, "another keeper runs")
    with App("second", connection=idle_app.connection) as second:
        (again,) = second.attach(group.id)
        right = [
            one.state == "SUCCESS" and np.array_equal(one.result, array + number)
            for number, one in enumerate(again)
        ]
    row = "rm -r of the folder in /dev/shm, 3 times, then kill -9 of server and keeper: large values"
    write(Row(row, "embedded", seed, len(faults), calls, calls, right.count(False), 0, 0))
    assert all(right)
