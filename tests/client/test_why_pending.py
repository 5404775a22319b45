"""What a call says that waits."""

from __future__ import annotations

import os
import signal

import pytest

from nbtasks import TimeoutError


def test_local_workers_that_were_given_up_say_so_and_of_what_they_died(idle_app, monkeypatch, eventually):
    monkeypatch.setattr("nbtasks.local.processes.upkeep.QUICK_DEATHS", 2)
    idle_app.start_workers(1, lease=1.0)
    workers = idle_app.local_workers
    for _ in range(2):
        eventually(lambda: workers.running, "it runs")
        pid = workers.pid
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: workers.problem or workers.pid != pid, "it has died")
    eventually(lambda: workers.problem, "it is given up")
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
