"""A call whose worker has gone is PENDING again, and its handle and its card say so."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

SOON = 60.0

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


def held(ledger, gate):
    """Task code: say which process runs it, report progress, wait at a gate."""
    from nbtasks import progress

    with Path(ledger).open("a") as file:
        file.write(f"{os.getpid()}\n")
    progress(1, 2)
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return "went on"


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["cold stop", "kill -9"])
def test_the_only_worker_goes(how, idle_app, worker, ledger, gate, eventually):
    handle = idle_app.task(held).delay(ledger.path, gate.path)
    first = worker()
    eventually(lambda: handle.state == "STARTED" and handle.progress, "it runs", within=SOON)
    first.send_signal(how)
    first.wait()
    eventually(lambda: handle.state == "PENDING", "it waits again", within=SOON)
    assert (handle.worker, handle.progress) == (None, None)
    assert handle.batch.counts()["STARTED"] == 0
    assert handle.why_pending()
    worker()
    eventually(lambda: handle.state == "STARTED", "it runs again", within=SOON)
    gate.open()
    assert handle.get(timeout=SOON) == "went on"
    assert len(ledger.lines()) == 2


def test_another_worker_gives_it_back_and_is_busy(idle_app, worker, ledger, gate, eventually):
    group = idle_app.task(held).starmap([(ledger.path, gate.path)] * 2, chunk=1)
    first = worker()
    eventually(lambda: len(group.batch.running) == 1, "one runs", within=SOON)
    worker()
    eventually(lambda: len(group.batch.running) == 2, "both run", within=SOON)
    first.kill()
    first.wait()
    eventually(lambda: group.batch.counts()["STARTED"] == 1, "one waits again", within=SOON)
    assert group.batch.counts()["PENDING"] == 1
    gate.open()
    assert group.get(timeout=SOON) == ["went on"] * 2
