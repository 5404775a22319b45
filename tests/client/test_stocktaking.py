"""Keys are lost, by hand or by another program: what the client still has is put back, or ends with an error."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

import pytest
import redis

from nbtasks import App, NbtasksError
from nbtasks.client.engines.brokered.receiving import listener, stocktaking

SOON = 90.0
LONG = pytest.mark.long


def held(ledger, gate, x):
    """Task code: say that it runs, then wait at a gate."""
    with Path(ledger).open("a") as file:
        file.write(f"{x}\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return x


def second_time(ledger, x):
    """Task code: fail the first time."""
    with Path(ledger).open("a") as file:
        file.write(f"retry-{x}\n")
    if Path(ledger).read_text().count(f"retry-{x}\n") < 2:
        raise OSError("not yet")
    return x


@pytest.fixture
def hasty(monkeypatch):
    """A client that looks all the time."""
    monkeypatch.setattr(listener, "_RECONCILE_S", 0.5)
    monkeypatch.setattr(listener, "_BLOCK_S", 0.3)
    monkeypatch.setattr(stocktaking, "_EVERY_S", 0.3)


#: The part of a key's name after the namespace, and whether it is of those that are tried each time.
KEYS = [
    ("q:", True), ("z:", False), ("b:", False), ("rl:", False), ("c:", False), ("d:", False), ("addresses", False),
    ("st:", False), ("r:", False), ("batches", False), ("f:", False), ("fu", False), ("o:", False), ("ob:", False),
    ("s:", False), ("e:", False), ("w:", False), ("i:", False), ("workers", False), ("ctl", False),
    ("audited", False), ("lock:", False), ("", False),
]  # fmt: skip


def delete(client, names):
    client.delete(*names)


def rename(client, names):
    for name in names:
        client.rename(name, b"elsewhere:" + name)


def trim(client, names):
    for name in names:
        client.xtrim(name, maxlen=0, approximate=False)


FAULTS = [
    *(pytest.param(delete, part, id=part or "all", marks=() if quick else LONG) for part, quick in KEYS),
    pytest.param(rename, "q:", id="a lane is renamed", marks=LONG),
    pytest.param(trim, "q:", id="a lane is trimmed", marks=LONG),
]


@pytest.mark.parametrize(("fault", "part"), FAULTS)
@pytest.mark.usefixtures("hasty")
def test_nothing_waits_for_ever_when_a_key_is_lost(fault, part, idle_app, ledger, gate, eventually):
    idle_app.start_workers(2, lease=2.0)
    task = idle_app.task(held)
    again = idle_app.task(second_time, retries=3, default_retry_delay=5.0)
    limited = idle_app.task(abs, name="limited", rate_limit="20/m")
    wanted = [(again.delay(ledger.path, 1), 1)]
    eventually(lambda: wanted[0][0].state == "RETRY", "it waits for its next attempt")
    wanted += [(limited.delay(-x), x) for x in (2, 3)]
    wanted[1][0].get(timeout=SOON)
    wanted += [(task.delay(ledger.path, gate.path, x), x) for x in (4, 5)]
    eventually(lambda: {"4", "5"} <= set(ledger.lines()), "both workers run a call")
    group = task.starmap([(ledger.path, gate.path, x) for x in range(10, 14)], chunk=2, quiet=True)
    wanted += list(zip(group, range(10, 14), strict=True))
    wanted += [(idle_app.task(len).delay(x * b"x"), x) for x in (100_000, 1)]
    wanted.append((idle_app.task(abs).apply_async((-6,), countdown=4.0), 6))
    idle_app.session.flush()
    with redis.Redis.from_url(idle_app.connection.url) as client:
        names = list(client.scan_iter(f"{idle_app.session.line.keys.root.replace('{', '[{]')}{part}*"))
        assert names or part in {"c:", "d:", "lock:", "audited", "r:", "st:"}
        if names:
            fault(client, names)
    gate.open()
    for handle, value in wanted:
        try:
            assert handle.get(timeout=SOON) == value
        except NbtasksError as error:
            assert not isinstance(error, TimeoutError), handle.why_pending()  # noqa: PT017
            print(part, value, type(error).__name__, error)


@pytest.mark.long
@pytest.mark.usefixtures("hasty")
def test_who_reads_the_call_of_another_client_gets_an_error(idle_app, monkeypatch):
    monkeypatch.setattr(stocktaking, "_OTHERS_S", 3.0)
    _ = idle_app.session
    with App(connection=idle_app.connection) as gone:
        name = gone.task(abs).delay(-1).id
    handle = idle_app.AsyncResult(name)
    with redis.Redis.from_url(idle_app.connection.url) as client:
        client.flushdb()
    with pytest.raises(NbtasksError, match="does not put it back"):
        handle.get(timeout=SOON)


@pytest.mark.parametrize("worker_dies", [False, True])
def test_a_call_that_was_revoked_while_it_ran_ends_as_it_does(
    idle_app, hasty, ledger, gate, eventually, worker_dies, monkeypatch
):
    """Where the broker was emptied as well, and does not know any more that it runs."""
    if not worker_dies:
        # A worker that lives says so every 0.4 s: a client that looks twice a second may be earlier.
        monkeypatch.setattr(listener, "_RECONCILE_S", math.inf)
    idle_app.start_workers(1, lease=2.0)
    handle = idle_app.task(held).delay(ledger.path, gate.path, 1)
    eventually(lambda: handle.state == "STARTED", "it runs", within=SOON)
    handle.revoke()
    with redis.Redis.from_url(idle_app.connection.url) as server:
        server.flushdb()
        if worker_dies:
            os.kill(idle_app.local_workers.pid, signal.SIGKILL)
        else:
            eventually(idle_app.workers, "the worker shows itself again", within=SOON)
            monkeypatch.setattr(listener, "_RECONCILE_S", 0.5)
        eventually(lambda: list(server.scan_iter("*:b:*")), "it is told again", within=SOON)
    gate.open()
    handle.until_ready(SOON)
    assert handle.state == ("REVOKED" if worker_dies else "SUCCESS")
    assert ledger.lines() == ["1"]
