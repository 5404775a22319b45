"""In which order calls are taken where they wait for one slot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nbtasks.broker.keys import LANES

SOON = 30.0


def note(ledger, gate, name):
    """Task code: the first call waits at a gate, all write down that they run."""
    with Path(ledger).open("a") as file:
        file.write(f"{name}\n")
    end = time.monotonic() + 60
    while name == "long" and not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return name


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
    waits, comes, before, after, idle_app, ledger, gate, eventually
):
    """A chunk's first call takes long, so the others go back to the queue."""
    idle_app.start_workers(1)
    task = idle_app.task(note)
    names = ["long", "rest-1", "rest-2"]
    items = [(ledger.path, gate.path, name) for name in names]
    chunk = task.with_options(priority=waits).starmap(items, chunk=3, quiet=True)
    eventually(ledger.lines, "the first one runs")
    address, store = idle_app.session.address("default"), idle_app.session.store
    eventually(lambda: store.waiting(address, LANES) == 1, "the others are back in the queue")
    new = task.apply_async((ledger.path, gate.path, "new"), priority=comes)
    last = task.apply_async((ledger.path, gate.path, "last"), priority=waits)
    idle_app.session.flush()
    gate.open()
    assert chunk.get(timeout=SOON) == names
    assert (new.get(timeout=SOON), last.get(timeout=SOON)) == ("new", "last")
    lines = ledger.lines()
    place = lines.index("new")
    assert before <= set(lines[:place])
    assert after <= set(lines[place:])
