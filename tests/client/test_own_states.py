"""States that tasks name themselves, seen by who has nothing but the id of a call."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from nbtasks import App


def upload(self, parts, path):
    for part in range(parts):
        self.update_state(state="PROGRESS", meta={"current": part + 1, "pid": os.getpid()})
    end = time.monotonic() + 120
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.02)
    if Path(path).exists() and Path(path).read_text() == "again" and not self.request.retries:
        raise self.retry(countdown=60)


@pytest.fixture
def uploads(shared_app):
    """The task, whatever App is the newest."""
    return shared_app.task(upload, bind=True)


@pytest.fixture
def looker(shared_app):
    """Another client."""
    with App("looks on", namespace=shared_app.connection.namespace) as app:
        yield app


def kept(app, handle):
    return app.session.store.own_states(handle.batch.id)


def test_it_is_read_by_the_id_alone(shared_app, looker, uploads, gate, eventually):
    single, several = uploads.delay(3, gate.path), uploads.starmap([(4, gate.path)])
    for one in (single, several[0]):
        eventually(lambda one=one: one.state == "PROGRESS", "it is shown here")
    for one in (single, several[0]):
        found = looker.AsyncResult(one.id)
        assert (found.state, found.info) == ("PROGRESS", one.info)
    gate.open()
    single.get(timeout=60)
    several.get(timeout=60)
    eventually(lambda: not kept(shared_app, single) and not kept(shared_app, several), "it is dropped")
    eventually(lambda: looker.AsyncResult(single.id).state == "SUCCESS", "the other client hears of the end")


def test_it_ends_with_its_attempt(shared_app, looker, uploads, gate, eventually):
    r = uploads.delay(2, gate.path)
    eventually(lambda: r.state == "PROGRESS", "it is shown here")
    Path(gate.path).write_text("again")
    eventually(lambda: r.state == "RETRY", "it is tried again")
    eventually(lambda: not kept(shared_app, r), "it is dropped")
    assert looker.AsyncResult(r.id).state == "PENDING"
    r.revoke()


def test_it_is_kept_of_no_other_call(shared_app):
    r = shared_app.task(lambda: 1).delay()
    r.get(timeout=60)
    assert kept(shared_app, r) == []


def test_it_ends_with_its_process(app, gate, eventually):
    r = app.task(upload, bind=True).delay(1, gate.path)
    eventually(lambda: r.state == "PROGRESS", "it is shown")
    os.kill(r.info["pid"], signal.SIGKILL)
    eventually(lambda: not kept(app, r), "it is dropped")
    gate.open()
    r.get(timeout=120)


def test_what_is_not_signed_is_not_believed(shared_app, looker, uploads, gate, eventually):
    r = uploads.delay(1, gate.path)
    eventually(lambda: r.state == "PROGRESS", "it is shown")
    session = shared_app.session
    key = session.line.keys.own_states(r.batch.id)
    ((index, frame),) = kept(shared_app, r)
    for field, forged in ((index, frame[:-1] + b"x"), (b"7", frame), (b"x", b"")):
        session.store._link.call("DEL", key)
        session.store._link.call("HSET", key, field, forged)
        found = looker.AsyncResult(r.id)
        assert found.state != "PROGRESS"
        looker.session.registry.drop(found.batch)
    session.store._link.call("DEL", key)
    session.store._link.call("SET", key, "no hash")
    assert looker.AsyncResult(r.id).state != "PROGRESS"
    gate.open()
    r.get(timeout=60)
