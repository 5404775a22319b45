"""Calls over a MariaDB, from end to end: an App, real workers, processes that are killed."""

from __future__ import annotations

import os
import signal
import time

import pytest

from nbtasks import chord
from nbtasks.exceptions import ConfigError, TaskRevokedError
from tests.servers.mariadb import MariaDB

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def app(mariadb_url, new_app):
    """An App with a worker of two children."""
    app = new_app(mariadb_url)
    app.start_workers(2)
    return app


def test_a_call_a_map_and_an_error(app):
    @app.task
    def half(n):
        return n // (n % 5)

    assert half.delay(6).get(timeout=60) == 6
    with pytest.raises(ZeroDivisionError):
        half.delay(5).get(timeout=60)
    assert app.task(abs).map(range(-1000, 0)).get(timeout=120) == list(range(1000, 0, -1))


def test_what_is_large_goes_there_and_back(app):
    found = app.task(lambda text: text * 2).delay("x" * 9_000_000).get(timeout=120)
    assert len(found) == 18_000_000


def test_a_running_call_is_stopped(app, tmp_path, eventually):
    @app.task
    def long():
        (tmp_path / "begun").touch()
        time.sleep(3600)

    result = long.delay()
    eventually((tmp_path / "begun").exists, "the call runs")
    result.revoke(terminate=True)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=60)


def test_a_workflow_and_a_lock(app):
    @app.task(max_concurrency=1)
    def add(a, b):
        return a + b

    total = chord([add.s(n, n) for n in range(20)], app.task(sum).s())
    assert total.delay().get(timeout=120) == 380


def test_a_map_ends_though_its_workers_are_killed(mariadb_url, new_app, eventually):
    app = new_app(mariadb_url)

    @app.task
    def slow(n):
        time.sleep(0.01)
        return n

    run = slow.map(range(400))
    for enough in (60, 120, 180):
        app.start_workers(2)
        eventually(lambda enough=enough: run.completed_count() > enough, "some have ended", within=90)
        for worker in app.workers():
            os.kill(worker.pid, signal.SIGKILL)
    app.start_workers(2)
    assert run.get(timeout=200) == list(range(400))


def test_a_server_that_is_killed_loses_no_call(start_server, new_app, eventually):
    server = start_server(MariaDB)
    with server.database() as name:
        app = new_app(server.url(name))
        app.start_workers(2)

        @app.task
        def slow(n):
            time.sleep(0.01)
            return n

        run = slow.map(range(300))
        eventually(lambda: run.completed_count() > 20, "some have ended", within=90)
        server.kill()
        server.start()
        assert run.get(timeout=200) == list(range(300))
        app.close()


def test_what_is_refused_says_why(mariadb_url, new_line):
    with pytest.raises(ConfigError, match="refuses the login"):
        new_line(mariadb_url.replace(":secret@", ":wrong@")).check()


@pytest.mark.parametrize("durable", [True, False])
def test_a_server_that_confirms_before_it_has_written_lives_as_long_as_it_runs(
    start_server, new_line, durable
):
    server = start_server(MariaDB, settings={"innodb_flush_log_at_trx_commit": int(durable)})
    with server.database() as name:
        line = new_line(server.url(name))
        line.check()
        before = line.housekeeping().server_life()
        assert line.housekeeping().server_life() == before
        server.kill()
        server.start()
        line.patience_s = 30.0
        assert (line.housekeeping().server_life() == before) == durable
        line.close()
