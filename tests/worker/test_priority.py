"""In which order calls are taken where they wait for one slot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import redis

from nbtasks import App
from nbtasks.core.lanenames import LANES

SOON = 60.0


def note(ledger, gate, name):
    """Task code: the first call waits at a gate, all write down that they run."""
    with Path(ledger).open("a") as file:
        file.write(f"{name}\n")
    end = time.monotonic() + 60
    while name == "long" and not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return name


@pytest.fixture(scope="module")
def narrow_app(run_folder):
    """An App with one worker with one child, which serves two queues."""
    with App("test", namespace="t-priority") as app:
        app.start_workers(1, queues=("default", "other"))
        yield app


@pytest.mark.parametrize(
    ("waits", "comes", "before", "after"),
    [
        ("normal", "high", {"long"}, {"rest-1", "rest-2", "last"}),
        ("low", "normal", {"long"}, {"rest-1", "rest-2", "last"}),
        ("high", "high", {"long", "rest-1"}, set()),
        ("normal", "low", {"long", "rest-1", "rest-2", "last"}, set()),
    ],
)
def test_what_a_child_gave_back_is_next_of_its_priority(
    waits, comes, before, after, narrow_app, ledger, gate, eventually
):
    """A chunk's first call takes long, so the others go back to the queue."""
    task = narrow_app.task(note)
    names = ["long", "rest-1", "rest-2"]
    items = [(ledger.path, gate.path, name) for name in names]
    chunk = task.with_options(priority=waits).starmap(items, chunk=3, quiet=True)
    eventually(ledger.lines, "the first one runs")
    address, queues = narrow_app.session.address("default"), narrow_app.session.queues
    eventually(lambda: queues.waiting(address, LANES) == 1, "the others are back in the queue")
    new = task.apply_async((ledger.path, gate.path, "new"), priority=comes)
    last = task.apply_async((ledger.path, gate.path, "last"), priority=waits)
    narrow_app.session.flush()
    gate.open()
    assert chunk.get(timeout=SOON) == names
    assert (new.get(timeout=SOON), last.get(timeout=SOON)) == ("new", "last")
    lines = ledger.lines()
    place = lines.index("new")
    assert before <= set(lines[:place])
    assert after <= set(lines[place:])


MIXED = [
    ("normal", "default"),
    ("high", "default"),
    ("low", "other"),
    ("high", "other"),
    ("low", "default"),
] * 3
RANK = {"high": 0, "normal": 1, "low": 2}


def submit_mixed(app, ledger, gate):
    """Submit calls of all priorities to two queues; returns their handles and names, which begin with the priority."""
    handles, names = [], []
    for number, (priority, queue) in enumerate(MIXED):
        names.append(f"{priority}-{number}")
        task = app.task(note, queue=queue)
        handles.append(task.apply_async((ledger.path, gate.path, names[-1]), priority=priority))
    app.session.flush()
    return handles, names


def check_order(handles, names, ledger):
    assert [handle.get(timeout=SOON) for handle in handles] == names
    ranks = [RANK[line.partition("-")[0]] for line in ledger.lines() if "-" in line]
    assert ranks == sorted(ranks)


def test_a_worker_that_starts_takes_what_is_high_first(idle_app, ledger, gate):
    handles, names = submit_mixed(idle_app, ledger, gate)
    idle_app.start_workers(1, queues=("default", "other"))
    check_order(handles, names, ledger)


@pytest.mark.parametrize("cut", [False, True])
def test_a_worker_that_was_busy_takes_what_is_high_first(cut, narrow_app, ledger, gate, eventually):
    """It waited for entries one by one before, and has lost its connection meanwhile, maybe."""
    for x in range(-3, 0):
        assert narrow_app.task(abs).delay(x).get(timeout=SOON) == -x
    long = narrow_app.task(note).delay(ledger.path, gate.path, "long")
    eventually(ledger.lines, "it runs")
    handles, names = submit_mixed(narrow_app, ledger, gate)
    if cut:
        with redis.Redis.from_url(narrow_app.connection.url) as raw:
            raw.client_kill_filter(_type="normal", skipme=True)
    gate.open()
    assert long.get(timeout=SOON) == "long"
    check_order(handles, names, ledger)
