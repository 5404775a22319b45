"""Connections are cut again and again, or cannot be made for long: both ends are as after the first second.

What a process holds is looked at from outside: its descriptors, its threads, its memory, its connections to the server.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from .sites import DURABLE, SOON, Site
from .test_network import N, run_through

#: Minutes of the soak: 20 are promised, and fewer run by themselves.
SOAK_S = 60 * float(os.environ.get("NBTASKS_SOAK_MINUTES", "2"))
CUT_EVERY_S = 5.0
#: What a process may have more at the end than after the first few cuts: allocators and caches are never quite still.
SLACK_BYTES = 8 * 2**20


#: How much shorter every pause is in programs that are in a hurry, as long as a file is there.
HASTE = 60
#: Two a second: more than any process needs, for their pauses grow to a second.
TRIES = 7200
_HURRY = """
import os, threading, time

def hurried(act, at):
    def wait(*args, **kwargs):
        args = list(args)
        if len(args) > at and args[at] and os.path.exists({flag!r}):
            args[at] /= {haste}
        return act(*args, **kwargs)
    return wait

time.sleep = hurried(time.sleep, 0)
threading.Condition.wait = hurried(threading.Condition.wait, 1)
"""


@dataclass(frozen=True)
class Holding:
    """What processes hold together."""

    descriptors: int
    threads: int
    memory_bytes: int

    @classmethod
    def of(cls, pids: list[int]) -> Holding:
        """Look at processes."""
        found = [_look(pid) for pid in pids]
        return cls(*(sum(getattr(one, field.name) for one in found) for field in fields(cls)))


def _look(pid: int) -> Holding:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Holding(descriptors, int(status["Threads"]), int(status["VmRSS"].split()[0]) * 1024)


def settle(site: Site, eventually: Any) -> tuple[Holding, Holding, int]:
    """Wait until every connection is there again; return what client and worker hold, and the connections."""
    assert site.app.task(abs).delay(-1).get(timeout=SOON) == 1
    gc.collect()
    seen: list[tuple[int, int, int]] = []

    def still() -> bool:
        with site.server.client() as client:
            connections = len(client.client_list()) - 1
        client_, worker = Holding.of([os.getpid()]), Holding.of(site.worker.pids())
        seen.append((connections, client_.descriptors, worker.descriptors))
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    eventually(still, "nothing changes any more", within=SOON)
    return Holding.of([os.getpid()]), Holding.of(site.worker.pids()), seen[-1][0]


def check_flat(before: tuple[Holding, Holding, int], after: tuple[Holding, Holding, int]) -> None:
    """Compare two moments."""
    print("before", before, "after", after, sep="\n  ")
    assert after[2] <= before[2], "connections have grown"
    for end, first, last in zip(("client", "worker"), before[:2], after[:2], strict=True):
        assert last.descriptors <= first.descriptors, f"descriptors of the {end} have grown"
        assert last.threads <= first.threads, f"threads of the {end} have grown"
        assert last.memory_bytes < first.memory_bytes + SLACK_BYTES, f"memory of the {end} has grown"


@pytest.mark.long
@pytest.mark.parametrize("cuts", [130, pytest.param(1000, marks=pytest.mark.timeout(900))])
def test_connections_are_cut_again_and_again(site, matrix, faults, cuts):
    here = site("bundled", *DURABLE)

    def cut():
        for _ in range(cuts):
            here.proxy.reconnect()
            time.sleep(0.04)

    run_through(here, matrix, faults, f"connections cut {cuts:,} times", cut, n=N * (5 if cuts > 500 else 1))


@pytest.fixture
def hurry(tmp_path, monkeypatch):
    """A file: as long as it is there, what this test starts, and this process, makes its pauses shorter."""
    flag = tmp_path / "hurry"
    code = _HURRY.format(flag=str(flag), haste=HASTE)
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    # To be put back as they were.
    monkeypatch.setattr(time, "sleep", time.sleep)
    monkeypatch.setattr(threading.Condition, "wait", threading.Condition.wait)
    exec(code, {})
    return flag


@pytest.mark.long
@pytest.mark.timeout(2000)
def test_the_server_is_away_for_an_hour(site, matrix, faults, eventually, hurry):
    """As many tries to connect as it takes them in an hour: pauses between them are shorter here."""
    here = site("bundled", *DURABLE)

    def be_away():
        hurry.touch()
        here.proxy.cut()
        began = time.monotonic()

        def tried() -> bool:
            counts = here.proxy.traffic(began, time.monotonic())
            # The client, the supervisor, and two children.
            return len([pid for pid, count in counts.items() if count >= TRIES]) >= 4

        eventually(tried, "all have tried", within=1500)
        hurry.unlink()
        here.proxy.heal()

    row = f"server away for 1 h (pauses {HASTE} times as short)"
    run_through(here, matrix, faults, row, be_away, within=1600)


def warm_up(here: Site, cuts: int = 20) -> None:
    """Bring both ends to where they hold what they always hold: the client, for one, knows its last 1,000 batches."""
    task = here.app.task(abs)
    for _ in range(1000):
        task.map(range(20)).get(timeout=SOON)
    for _ in range(cuts):
        cut_and_use(here)


def cut_and_use(here: Site) -> None:
    """Cut everything, and have both ends connect again."""
    here.proxy.forget_traffic()
    here.proxy.reconnect()
    task = here.app.task(abs)
    assert task.delay(-1).get(timeout=SOON) == 1
    assert task.map(range(20)).get(timeout=SOON) == list(range(20))


@pytest.mark.long
@pytest.mark.parametrize("cuts", [60, pytest.param(1000, marks=pytest.mark.timeout(900))])
def test_cuts_leave_nothing_behind(site, eventually, cuts):
    here = site("bundled", *DURABLE)
    warm_up(here)
    before = settle(here, eventually)
    for _ in range(cuts):
        cut_and_use(here)
    check_flat(before, settle(here, eventually))


@pytest.mark.long
@pytest.mark.timeout(SOAK_S + 600)
def test_a_cut_every_few_seconds_leaves_nothing_behind(site, eventually):
    """NBTASKS_SOAK_MINUTES says for how long."""
    here = site("bundled", *DURABLE)
    warm_up(here)
    before, end = settle(here, eventually), time.monotonic() + SOAK_S
    while time.monotonic() < end:
        due = time.monotonic() + CUT_EVERY_S
        cut_and_use(here)
        while time.monotonic() < due:
            assert here.app.task(abs).delay(-1).get(timeout=SOON) == 1
            time.sleep(0.1)
    check_flat(before, settle(here, eventually))
