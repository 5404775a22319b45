"""A call that no worker has started before its time was over ends, whether there are workers or not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import redis

from nbtasks import App, TaskRevokedError

SOON = 60.0


def held(ledger, gate):
    """Task code: say that it runs, then wait at a gate."""
    with Path(ledger).open("a") as file:
        file.write("runs\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return "went on"


@pytest.fixture
def left(idle_app):
    """``left()`` returns how many entries and delayed calls lie in the server."""
    with redis.Redis.from_url(idle_app.connection.url) as raw:

        def count():
            root = idle_app.session.line.keys.root
            entries = sum(map(raw.xlen, raw.scan_iter(f"{root}q:*")))
            return entries + sum(map(raw.zcard, raw.scan_iter(f"{root}z:*")))

        yield count


def check_expired(handle):
    with pytest.raises(TaskRevokedError, match="expired") as caught:
        handle.get(timeout=SOON)
    assert "None" not in str(getattr(caught.value, "__notes__", ""))
    assert handle.state == "REVOKED"
    assert handle.why_pending() is None


def test_nobody_serves_the_queue(idle_app, left, eventually):
    call = idle_app.task(abs).apply_async((1,), queue="nobody", expires=0.3)
    stays = idle_app.task(abs).apply_async((1,), queue="nobody", expires=3600)
    check_expired(call)
    assert stays.state == "PENDING"
    eventually(lambda: left() == 1, "its entry is gone")


def test_calls_of_a_map_and_a_series(idle_app, left, eventually):
    group = idle_app.task(abs).map(range(3000), queue="nobody", chunk=7, expires=0.3)
    task = idle_app.task(len, queue="nobody", expires=0.3)
    singles = [task.delay("ab") for _ in range(50)]
    assert group.until_ready(SOON)
    assert group.batch.counts()["REVOKED"] == 3000
    for one in (group[0], group[2999], *singles):
        check_expired(one)
    eventually(lambda: left() == 0, "their entries are gone")


def test_one_that_was_to_start_later(idle_app):
    check_expired(idle_app.task(abs).apply_async((1,), countdown=3600, expires=0.3))


def test_what_runs_goes_on(app, ledger, gate, eventually):
    # Before, so that what begins then begins at once: the workers open the function.
    assert app.task(held).starmap([(os.devnull, os.devnull)] * 4, chunk=1).get(timeout=SOON)
    running = app.task(held).starmap([(ledger.path, gate.path)] * 2, chunk=1, expires=4)
    eventually(lambda: len(ledger.lines()) == 2, "they run")
    waiting = app.task(abs).apply_async((1,), expires=4)
    aside = app.task(abs).apply_async((1,), queue="nobody", expires=4)
    check_expired(waiting)
    check_expired(aside)
    gate.open()
    assert running.get(timeout=SOON) == ["went on"] * 2


def test_an_entry_was_deleted(idle_app, eventually):
    """Somebody with access to the server did it; nobody can refuse what is not there."""
    call = idle_app.task(abs).apply_async((1,), expires=1)
    idle_app.session.flush()
    with redis.Redis.from_url(idle_app.connection.url) as raw:
        keys = idle_app.session.line.keys
        raw.delete(keys.lane(idle_app.session.address("default"), "m"))
    idle_app.start_workers(1)
    check_expired(call)


def test_another_client_sees_it(idle_app):
    call = idle_app.task(abs).apply_async((1,), queue="nobody", expires=0.3)
    check_expired(call)
    with App(connection=idle_app.connection) as other:
        check_expired(other.AsyncResult(call.id))


def test_the_clock_of_the_client_is_wrong(idle_app, monkeypatch):
    """Moments are compared in the server's time."""
    assert idle_app.session.usable
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    with App(connection=idle_app.connection) as other:
        stays = other.task(abs).apply_async((1,), queue="nobody", expires=60)
        check_expired(other.task(abs).apply_async((1,), queue="nobody", expires=0.3))
        assert stays.state == "PENDING"
