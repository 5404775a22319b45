"""The Stop button in a ``get()``, wherever it hits: the main thread takes results in itself while it waits."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from .interrupts import Interrupter

WATCHED = (
    "ledger", "records", "printed", "watchers", "parcel", "waiting", "intake", "listener", "registry", "result",
    "shield", "engine", "session",
)  # fmt: skip


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.01)
    return "through"


def press_stop():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def stop_button():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_at_any_line_of_a_get_loses_nothing(shared_app, stop_button, eventually):
    double = shared_app.task(lambda x: 2 * x)
    called, hits, nth, mark = [], set(), 1, 0
    while True:
        # Whoever waits again and again reads himself.
        double.delay(0).get(60)
        mark += 1
        handle = double.delay(mark)
        handle.then(lambda result: called.append(result.args[0]))
        interrupter = Interrupter(nth, WATCHED, press_stop)
        try:
            with interrupter:
                assert handle.get(60) == 2 * mark
        except KeyboardInterrupt:
            pass
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert handle.get(60) == 2 * mark
        assert (handle.batch.finished_count, handle.batch.done) == (1, True)
        if interrupter.hit:
            hits.add(interrupter.hit)
            nth += 1
        elif "_read_here" in interrupter.functions:
            break
    assert {"wait_for", "_read_here", "take_in", "apply_record", "__enter__", "__exit__"} <= hits
    eventually(lambda: len(called) == mark, "every callback is called")
    assert sorted(called) == list(range(1, mark + 1))


def test_stop_interrupts_a_get_and_other_threads_go_on(shared_app, gate, stop_button):
    double = shared_app.task(lambda x: 2 * x)
    held = shared_app.task(wait_for).delay(gate.path)
    beside, seen = [], []

    def get_and_stop(after_s):
        timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        return held.get(60)

    thread = threading.Thread(target=lambda: beside.append(held.get(60)))
    thread.start()
    for x in range(20):
        # Twice in a row, so that the second is in a read of its own when Stop comes.
        assert double.delay(x).get(60) == 2 * x
        with pytest.raises(KeyboardInterrupt) as stopped:
            get_and_stop(0.02 * x)
        seen.append((str(stopped.value), [entry.name for entry in stopped.traceback][1:]))
    gate.open()
    thread.join(60)
    # It may hit before the wait begins.
    said, frames = seen[-1]
    assert "goes on; stop it with revoke" in said
    assert frames == ["get_and_stop", *(["get"] if sys.version_info < (3, 11) else [])]
    assert beside == [held.get(60)] == ["through"]
