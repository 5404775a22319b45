"""Calls and workflows whose PostgreSQL is killed under them."""

from __future__ import annotations

import time

import pytest

from nbtasks import group
from tests.servers.postgresql import PostgreSQL


@pytest.mark.long
def test_a_server_that_is_killed_loses_no_call(start_server, new_app, eventually):
    server = start_server(PostgreSQL)
    with server.database() as name:
        app = new_app(server.url(name))
        app.start_workers(2)

        @app.task
        def slow(n):
            time.sleep(0.01)
            return n

        run = slow.map(range(400))
        eventually(lambda: run.completed_count() > 20, "some have ended")
        server.kill()
        server.start()
        assert run.get(timeout=90) == list(range(400))
        app.close()


@pytest.mark.long
def test_a_server_that_is_killed_in_a_workflow_loses_no_step(start_server, new_app, eventually):
    server = start_server(PostgreSQL)
    with server.database() as name:
        app = new_app(server.url(name))
        app.start_workers(2)

        @app.task
        def slow(n):
            time.sleep(0.01)
            return n

        total = app.task(sum)
        run = (group(slow.s(n) | slow.s() for n in range(60)) | total.s()).delay()
        eventually(lambda: run.root.completed_count() > 5, "a part of it has ended")
        server.kill()
        server.start()
        assert run.get(timeout=90) == sum(range(60))
        app.close()
