"""The embedded server and its keeper are killed, in every order, under load."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from .conftest import processes_of_session
from .load import Faults

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


@pytest.mark.parametrize("which", ORDERS)
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
        keeper = idle_app._lease.pid
        # The server may have lost what had ended in its last second, and gives it out again.
        notes = [faults.note(which) for _ in range(2)]
        killed_at = time.monotonic()
        kill(keeper, ORDERS[which])
        if "k" in ORDERS[which]:
            eventually(lambda keeper=keeper: idle_app._lease.pid != keeper, "another keeper runs")
        ended = len(load.seen)
        eventually(
            lambda ended=ended: len(load.seen) > min(N - 1, ended), "calls go on", within=10 * PROMISED_S
        )
        slowest = max(slowest, time.monotonic() - killed_at)
        for note in notes:
            note.until = time.monotonic()
    matrix.close(idle_app, f"kill -9 of {which}, 3 times", recovery_s=slowest, promised_s=PROMISED_S)
