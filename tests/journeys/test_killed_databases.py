"""Calls and workflows whose database is killed under them, and started again."""

from __future__ import annotations

import contextlib
import time

import pytest

from nbtasks import App, group
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SOON = 200.0


@pytest.fixture(params=[PostgreSQL, MariaDB])
def server(request, start_server):
    """A server of the test's own."""
    return start_server(request.param)


@pytest.fixture
def app(server, home, monkeypatch):
    """An App over it, with a worker of two children."""
    monkeypatch.setenv("NBTASKS_KEY", "A" * 43)
    with server.database() as name, contextlib.closing(App("killed", broker=server.url(name))) as app:
        app.start_workers(2)
        yield app


@pytest.fixture
def slow(app):
    """A task that takes a moment."""

    @app.task
    def slow(n):
        time.sleep(0.01)
        return n

    return slow


def test_no_call_is_lost(server, slow, eventually):
    run = slow.map(range(400))
    eventually(lambda: run.completed_count() > 20, "some have ended", within=90)
    server.kill()
    server.start()
    assert run.get(timeout=SOON) == list(range(400))


def test_no_step_of_a_workflow_is_lost(server, app, slow, eventually):
    total = app.task(sum)
    run = (group(slow.s(n) | slow.s() for n in range(60)) | total.s()).delay()
    eventually(lambda: run.root.completed_count() > 5, "a part of it has ended", within=90)
    server.kill()
    server.start()
    assert run.get(timeout=SOON) == sum(range(60))
