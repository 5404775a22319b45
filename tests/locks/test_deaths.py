"""Locks of processes that die, pause, or lose their broker: freed as soon as that is known, and never held by two."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from nbtasks import App

from .conftest import forget, held

SOON = 90.0


def test_a_lock_of_a_killed_child_is_free_at_once(app, entries, gate, eventually):
    app.start_workers(3)
    task = app.task(held, locks="db")
    first = task.delay(entries.path, 0, 0.0, gate.path)
    pids = eventually(entries.pids, "it runs")
    others = task.starmap([(entries.path, n) for n in range(1, 6)])
    eventually(others.why_pending, "the others wait")
    os.kill(pids[0], signal.SIGKILL)
    gate.open()
    assert len(others.get(timeout=SOON)) == 5
    assert first.get(timeout=SOON)
    assert entries.most({pids[0]}) == 1
    assert entries.entered().count(0) == 2
    assert [line[3] for line in entries.lines() if line[0] == "+0"] == ["1", "1"], "a loss is no attempt"


def test_locks_of_a_killed_worker_are_free(app, entries, gate, eventually):
    task = app.task(held, locks={"db": 1})
    with App("other", connection=app.connection) as other:
        first = task.delay(entries.path, 0, 0.0, gate.path)
        pids = eventually(entries.pids, "it runs")
        waiting = task.delay(entries.path, 1)
        eventually(waiting.why_pending, "the other one waits")
        os.kill(app.local_workers.pid, signal.SIGKILL)
        other.start_workers(1, lease=2.0)
        gate.open()
        assert waiting.get(timeout=SOON)
        assert first.get(timeout=SOON)
    assert entries.most({pids[0]}) == 1


def test_a_call_whose_worker_loses_its_lease_is_stopped_before_others_have_its_lock(
    home, entries, gate, eventually
):
    """The supervisor is stopped, so nobody renews the lease; the child goes on, and notices."""

    def stubborn(ledger, index, gate):
        try:
            return held(ledger, index, 0.0, gate)
        finally:
            with Path(ledger).open("a") as file:
                file.write(f"-{index}:{os.getpid()}\n")

    with App("paused") as app, App("other", connection=app.connection) as other:
        app.start_workers(1, lease=2.0, queues="one")
        other.start_workers(1, lease=2.0, queues=["one", "two"])
        task = app.task(stubborn, locks="shared", queue="one")
        first = task.delay(entries.path, 0, gate.path)
        pids = eventually(entries.pids, "it runs")
        supervisor = eventually(
            lambda: next((one for one in app.workers() if pids[0] in [kid.pid for kid in one.children]), None)
        )
        second = app.task(held, locks="shared", queue="one").delay(entries.path, 1)
        eventually(second.why_pending, "the other one waits")
        os.kill(supervisor.pid, signal.SIGSTOP)
        try:
            assert second.get(timeout=SOON) is not None
        finally:
            os.kill(supervisor.pid, signal.SIGCONT)
        gate.open()
        assert first.get(timeout=SOON)
        tokens = [int(line[2]) for line in entries.lines() if line[0][0] == "+"]
        assert tokens == sorted(tokens), "a paused holder has a smaller token than the next one"
        assert entries.most() == 1, "it had left when the other one came"


@pytest.mark.long
def test_a_whole_worker_that_pauses_does_not_go_on_with_its_lock(home, entries, gate, eventually, processes):
    with App("paused") as app, App("other", connection=app.connection) as other:
        app.start_workers(1, lease=2.0)
        task = app.task(held, locks="shared")
        first = task.delay(entries.path, 0, 0.0, gate.path)
        pids = eventually(entries.pids, "it runs")
        supervisor = app.local_workers.pid
        other.start_workers(1, lease=2.0)
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(pids[0], signal.SIGSTOP)
        try:
            eventually(lambda: entries.entered().count(0) == 2, "others have taken it over")
        finally:
            os.kill(supervisor, signal.SIGCONT)
            os.kill(pids[0], signal.SIGCONT)
        eventually(lambda: not Path(f"/proc/{pids[0]}").exists(), "the paused process has ended")
        gate.open()
        assert first.get(timeout=SOON)
        # It never came to the end of its work.
        assert [line for line in entries.lines() if line[0] == "-0" and int(line[1]) == pids[0]] == []


def test_a_broker_that_forgets_the_lock_stops_the_call(home, entries, gate, eventually):
    with App("emptied") as app:
        app.start_workers(1)
        task = app.task(held, locks="kept")
        call = task.delay(entries.path, 0, 0.0, gate.path)
        pids = eventually(entries.pids, "it runs")
        forget(app, "kept")
        eventually(lambda: entries.entered().count(0) == 2, "it was stopped, and runs again")
        eventually(lambda: not Path(f"/proc/{pids[0]}").exists(), "its process has ended")
        gate.open()
        assert call.get(timeout=SOON)


def test_many_calls_over_three_places_with_kills(home, entries, eventually):
    """The small one of the long test below: kills of children and of whole workers."""
    hard(home, entries, eventually, calls=150, kills=6, seconds=0.01)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_ten_thousand_calls_over_three_places_with_kills(home, entries, eventually):
    hard(home, entries, eventually, calls=10_000, kills=40, seconds=0.0)


def hard(home, entries, eventually, calls, kills, seconds):
    """Submit calls over a capacity of three, and kill what runs them, again and again."""
    chance = random.Random(7)
    with App("hard") as app, App("second", connection=app.connection) as second:
        for one in (app, second):
            one.start_workers(4, lease=2.0)
        task = app.task(held, max_concurrency=3, name="hard")
        batch = task.starmap([(entries.path, n, seconds, None, 3) for n in range(calls)])
        for number in range(kills):
            eventually(
                lambda number=number: len(entries.left()) > calls * (number + 0.5) / (kills + 1), within=300
            )
            worker = chance.choice(app.workers() or [None])
            if worker is None:
                continue
            children = [kid.pid for kid in worker.children]
            # Whole workers that die in quick succession are given up.
            victims = [chance.choice(children)] if number % 8 or not children else [worker.pid, *children]
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert len(batch.get(timeout=1200)) == calls
        assert set(entries.left()) == set(range(calls)), "none is lost"
        assert entries.too_many() == []
        time.sleep(0.1)
        assert app.session.line.locks().occupancy("task%3Ahard", 3).count == 0
