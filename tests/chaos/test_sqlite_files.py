"""A broker's SQLite file is held by others, full, deleted, replaced by a copy, and everybody who uses it killed."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nbtasks import App, BackPressure
from nbtasks.exceptions import TaskRevokedError

from .conftest import Machine
from .sites import RESUME_S, SOON, seconds_to_resume
from .smalldisk import filled, small_disk

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

N = 1500
LONG_S = (0.3,) * 8
SERVER = "sqlite"


@dataclass
class FileSite:
    """A file, a client and two workers with two children each."""

    file: Path
    app: App
    machine: Callable[..., Machine]
    workers: list[Machine]

    def connect(self) -> contextlib.closing[sqlite3.Connection]:
        """Somebody else's connection."""
        return contextlib.closing(sqlite3.connect(self.file, timeout=30, isolation_level=None))

    def remove(self) -> None:
        """Remove the file and what lies beside it."""
        for path in self.file.parent.glob(f"{self.file.name}*"):
            path.unlink()

    def start_worker(self) -> None:
        """Start one more."""
        self.workers.append(self.machine(self.app, concurrency=2))


@pytest.fixture
def site(machine: Any, home: Path, tmp_path: Path) -> Iterator[Callable[..., FileSite]]:
    """``site()`` sets one up; ``site(folder)`` has the file there."""
    with contextlib.ExitStack() as stack:

        def build(folder: Path = tmp_path) -> FileSite:
            file = folder / "broker.db"
            app = stack.enter_context(App("site", broker=f"sqlite:///{file}"))
            made = FileSite(file, app, machine, [])
            for _ in range(2):
                made.start_worker()
                stack.callback(made.workers[-1].end)
            return made

        yield build


def run_through(
    site: FileSite, matrix: Any, faults: Any, row: str, harm: Callable[[], None], n: int = N, times: int = 2
) -> None:
    """Submit a load, do harm when a part of it has ended, and measure how long everything takes to go on."""
    load = matrix.submit(site.app, n, long_s=LONG_S)
    load.wait_for(0.1)
    assert len(load.seen) < n, "the harm is done in the midst of it"
    notes = [faults.note(row) for _ in range(times)]
    harm()
    took = seconds_to_resume(site.app)
    load.wait()
    for note in notes:
        note.until = time.monotonic()
    matrix.close(site.app, row, server=SERVER, recovery_s=took, promised_s=RESUME_S)
    with site.connect() as looked_at:
        assert looked_at.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_another_process_holds_it(site, matrix, faults):
    """Longer than leases, and than anybody waits for it."""
    here = site()

    def hold():
        with here.connect() as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(12.0)
            other.execute("ROLLBACK")

    run_through(here, matrix, faults, "file locked by another process for 12 s", hold)


def test_what_runs_while_another_process_holds_it_runs_once(site, matrix, gate, eventually):
    """Nobody can renew a lease meanwhile; who comes first must not take the others for dead."""
    here = site()
    deed = f"import os, time\nwhile not os.path.exists({gate.path!r}): time.sleep(0.01)"
    load = matrix.submit(here.app, 4, chunk=1, deeds=dict.fromkeys(range(4), deed))
    eventually(lambda: len(load.executions()) == 4, "two workers run two calls each")
    for _ in range(3):
        with here.connect() as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(5.0)
            other.execute("ROLLBACK")
        # A submit waits until somebody can write again.
        here.app.task(len).apply_async(("x",), queue="nobody").revoke()
        # Two leases later, whoever looks for the dead has looked.
        time.sleep(2.0)
        assert [len(runs) for runs in load.executions().values()] == [1] * 4
    gate.open()
    matrix.close(here.app, "file locked by another process for 5 s, 3 times: running calls", server=SERVER)


def test_everybody_is_killed(site, matrix, faults, chance):
    """In the middle of transactions, most likely: each call is several."""
    here = site()
    load = matrix.submit(here.app, N, long_s=LONG_S)
    for blow in range(6):
        load.wait_for(0.05 + 0.1 * blow)
        time.sleep(chance.uniform(0.0, 0.05))
        victims, here.workers = here.workers, []
        faults.kill([pid for one in victims for pid in one.pids()], "kill everybody")
        for _ in range(2):
            here.start_worker()
    load.wait()
    matrix.close(here.app, "kill -9 of all workers at once, 6 times", server=SERVER)
    with here.connect() as looked_at:
        assert looked_at.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_it_is_deleted(site, matrix, faults):
    here = site()
    run_through(here, matrix, faults, "file deleted in use", here.remove)


def test_orders_are_heard_when_it_was_deleted(site, eventually):
    """They have numbers, and whoever listens knows the last one that there was in the other file."""
    here = site()
    for _ in range(50):
        here.app.task(len).apply_async(("x",), countdown=3600).revoke(terminate=True)
    here.remove()
    running = here.app.task(time.sleep).delay(3600)
    eventually(lambda: running.state == "STARTED", "it runs", within=SOON)
    running.revoke(terminate=True)
    with pytest.raises(TaskRevokedError):
        running.get(timeout=SOON)
    eventually(lambda: not any(one.slots_busy for one in here.app.workers()), "it was stopped", within=SOON)


def test_a_copy_is_put_in_its_place(site, matrix, faults):
    """As it was before half of the calls were submitted, and whatever has ended since then."""
    here = site()
    copy = here.file.with_name("copy")
    early = matrix.submit(here.app, 300, long_s=LONG_S)
    early.wait_for(0.2)
    with here.connect() as own, contextlib.closing(sqlite3.connect(copy)) as other:
        own.backup(other)

    def put_back():
        here.remove()
        copy.rename(here.file)

    run_through(here, matrix, faults, "file replaced in use by an older copy", put_back)


def test_its_disk_is_full(request, tmp_path, site, matrix, faults):
    folder = tmp_path / "disk"
    folder.mkdir(exist_ok=True)
    disk = small_disk(request, folder, 40)
    if disk is None:
        return
    here = site(disk)

    def fill():
        with filled(disk):
            with pytest.raises(BackPressure, match="there is no room"):
                # More than fits into what the log has taken before.
                here.app.task(len).delay("x" * 20_000_000).get(timeout=SOON)
            time.sleep(3.0)

    run_through(here, matrix, faults, "disk full for 3 s", fill, n=3000)


def test_another_process_stops_in_the_middle_of_a_transaction(site, matrix, faults, eventually):
    """It has the file for itself until it goes on: SIGSTOP of a worker that writes."""
    here = site()
    load = matrix.submit(here.app, N, long_s=LONG_S)
    load.wait_for(0.1)
    victim = here.workers[0]

    def holds():
        with here.connect() as other:
            other.execute("PRAGMA busy_timeout = 0")
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            other.execute("ROLLBACK")
            return False

    give_up_at = time.monotonic() + SOON
    while time.monotonic() < give_up_at:
        with faults.stopped(victim.pids()) as stop:
            if all(holds() for _ in range(20)):
                time.sleep(8.0)
                break
        assert len(load.seen) < N, "it was never stopped while it wrote"
    del stop
    load.wait()
    matrix.close(here.app, "SIGSTOP of a worker in the middle of a transaction, for 8 s", server=SERVER)
