"""Callbacks of then(): whatever one of them does, nothing else waits for it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nbtasks import App

SOON = 60.0


@pytest.fixture
def stuck():
    """A callback that does not end before the test does."""
    gate = threading.Event()
    yield lambda _: gate.wait(60)
    gate.set()


def fails_early(number):
    """Fail at once, or take a while."""
    if number == 3:
        raise ValueError(number)
    time.sleep(0.05)


@pytest.mark.parametrize("callbacks", [1, 40])
def test_a_stuck_callback_does_not_delay_the_stop_of_a_map(shared_app, stuck, ledger, callbacks):
    for handle in [shared_app.task(len).delay("a") for _ in range(callbacks)]:
        handle.then(stuck)

    def note(number, path):
        with Path(path).open("a") as file:
            file.write(f"{number}\n")
        fails_early(number)

    group = shared_app.task(note).starmap([(n, ledger.path) for n in range(400)], on_error="stop", chunk=1)
    assert group.until_ready(SOON)
    assert group.batch.revoked_count > 300
    assert len(ledger.lines()) < 100


def test_a_stuck_callback_holds_no_other_one_up(shared_app, stuck):
    called = threading.Event()
    shared_app.task(len).delay("a").then(stuck)
    shared_app.task(len).map(["a"]).then(stuck)
    shared_app.task(len).delay("b").then(lambda _: called.set())
    assert called.wait(SOON)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_callback_that_raises_is_logged_and_the_next_one_called(shared_app, error, caplog, eventually):
    def fail(_):
        raise error("of a callback")

    called = []
    with caplog.at_level(logging.ERROR, "nbtasks"):
        handle = shared_app.task(len).delay("a").then(fail).then(called.append)
        eventually(lambda: called == [handle])
        eventually(lambda: "of a callback" in caplog.text)


def test_a_callback_may_submit_and_wait(shared_app):
    values, done = [], threading.Event()

    def follow(handle):
        values.append(shared_app.task(len).delay("a" * handle.get()).get(timeout=SOON))
        values.append(shared_app.task(len).map(["ab"] * 3).get(timeout=SOON))
        done.set()

    shared_app.task(len).delay("abc").then(follow)
    assert done.wait(SOON)
    assert values == [3, [2, 2, 2]]


def test_a_callback_may_close_the_app(home, eventually):
    app, closed = App(), threading.Event()
    app.start_workers(1)
    workers = app.local_workers
    app.task(len).delay("a").then(lambda _: (app.close(), closed.set()))
    assert closed.wait(SOON)
    assert not workers.running


def test_a_callback_may_close_the_app_that_is_being_closed(home, caplog):
    with App() as app:
        app.start_workers(1)
        begun = threading.Event()
        handle = app.task(len).delay("a")
        handle.then(lambda _: (begun.set(), time.sleep(0.3), app.close()))
        assert begun.wait(SOON)
        handle.get(timeout=SOON)
    assert "have not ended" not in caplog.text
    # What had ended can be asked after, and told, when the App is closed.
    told = []
    handle.then(told.append)
    assert told == [handle]


def test_what_was_forgotten_is_dropped_beside_a_stuck_callback(shared_app, stuck, eventually):
    handle = shared_app.task(len).apply_async(("a",), label="kept")
    handle.get(timeout=SOON)
    handle.then(stuck)
    handle.forget()
    eventually(lambda: shared_app.session.store.batch(handle.id) is None)


SCRIPT = """
import time
from nbtasks import App
app = App()
app.start_workers(1)
def late(handle):
    time.sleep(0.5)
    print(handle.get())
app.task(len).delay("abc").then(late).get(timeout=20)
{end}
"""


@pytest.mark.parametrize("end", ["", pytest.param("app.close()", marks=pytest.mark.long)])
def test_a_callback_that_runs_may_end_before_the_app_does(project, end):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(end=end)], check=True, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("3", "")
