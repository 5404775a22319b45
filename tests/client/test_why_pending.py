"""What a call says that waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from nbtasks import App, TimeoutError
from nbtasks.broker.servertime import ServerClock
from nbtasks.client.engines.brokered.ahead import RunAhead, said_of

#: Another script in the same folder, whose calls go on after it.
OTHER = """
import sys, time
from pathlib import Path
from nbtasks import App

with App() as app:
    @app.task
    def job(n, path):
        while not Path(path).exists():
            time.sleep(0.02)
    job.starmap([(n, sys.argv[1]) for n in range(10)], label="job of one")
"""


def test_local_workers_that_were_given_up_say_so_and_of_what_they_died(idle_app, monkeypatch, eventually):
    monkeypatch.setattr("nbtasks.local.processes.upkeep.QUICK_DEATHS", 2)
    idle_app.start_workers(1, lease=1.0)
    workers = idle_app.local_workers
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            eventually(lambda: workers.running, "it runs")
            pid = workers.pid
            os.kill(pid, signal.SIGKILL)
            eventually(lambda pid=pid: workers.problem or workers.pid != pid, "it has died")
        eventually(lambda: workers.problem, "it is given up")
        eventually(lambda: said, "whoever waits hears of it")
    assert "2 times in a row; it is not started again. Calls wait until start_workers()" in str(
        said[0].message
    )
    handle = idle_app.task(abs).delay(-1)
    told = eventually(lambda: "given up" in (handle.why_pending() or "") and handle.why_pending(), within=40)
    assert "SIGKILL, 2 times in a row" in told
    assert "%workers start" in told
    with pytest.raises(TimeoutError, match="2 times in a row"):
        handle.get(timeout=0.1)
    elsewhere = idle_app.task(abs, queue="elsewhere").delay(-1)
    assert "no worker listens on queue 'elsewhere'" in elsewhere.why_pending()
    idle_app.start_workers(1)
    assert handle.get(timeout=30) == 1


def test_what_is_ahead_is_named_and_whose_it_is(project, gate, eventually, monkeypatch):
    # How the server's clock is reckoned here is off by some milliseconds on a busy machine.
    monkeypatch.setattr(ServerClock, "moment_here", lambda self, at: at + 3.0)

    def wait_for(n, path):
        while not Path(path).exists():
            time.sleep(0.02)

    script = project / "one.py"
    script.write_text(OTHER, encoding="utf-8")
    with App() as app:
        app.start_workers(2)
        subprocess.run([sys.executable, script, gate.path], check=True, timeout=60)
        eventually(lambda: sum(len(worker.running) for worker in app.workers()) == 2, "both slots are busy")
        first = app.task(wait_for).starmap([(n, gate.path) for n in range(5)], label="first")
        told = eventually(first.why_pending, "it says why")
        assert told.startswith("all 2 slots are busy, 8 calls of 'job of one' (one.py) are ahead; wait, or")
        second = app.task(wait_for).starmap([(1, gate.path)], label="second")
        both = "8 calls of 'job of one' (one.py) and 5 calls of 'first' are ahead"
        eventually(lambda: both in (second.why_pending() or ""), "it names both")
        urgent = app.task(wait_for).with_options(priority=9).starmap([(1, gate.path)])
        busy = "all 2 slots are busy with 2 calls of 'job of one' (one.py), it is next"
        eventually(lambda: (urgent.why_pending() or "").startswith(busy), "it says what runs")
        gate.open()
        assert second.get(timeout=60) == [None]


def test_how_long_it_takes_is_told_where_all_of_it_is_known():
    slow, others = RunAhead("slow", "", 3, 1, 12.4), RunAhead("x", "one.ipynb", 1, 0, 100.0)
    assert said_of([slow]) == "3 calls of 'slow' are ahead, about 12 s"
    assert said_of([slow, others]) == "3 calls of 'slow' and 1 call of 'x' (one.ipynb) are ahead, about 2 min"
    assert said_of([RunAhead("y", "", 1, 0)]) == "1 call of 'y' is ahead"
    assert said_of([slow, others, RunAhead("y", "", 1, 0)]).endswith("and 1 more are ahead")
