"""Calls over a SQLite file, from end to end: an App, real workers."""

from __future__ import annotations

import os
import signal
import time

import pytest

from nbtasks import App
from nbtasks.exceptions import TaskRevokedError


@pytest.fixture
def app(sqlite_url, new_app):
    """An App with a worker of two children."""
    app = new_app(sqlite_url)
    app.start_workers(2)
    return app


def test_a_call_a_map_and_an_error(app):
    @app.task
    def half(n):
        return n // (n % 5)

    assert half.delay(6).get(timeout=60) == 6
    with pytest.raises(ZeroDivisionError):
        half.delay(5).get(timeout=60)
    run = app.task(abs).map(range(-3000, 0))
    assert run.get(timeout=60) == list(range(3000, 0, -1))


@pytest.mark.long
def test_what_is_large_goes_there_and_back(app):
    found = app.task(lambda text: text * 2).delay("x" * 3_000_000).get(timeout=60)
    assert len(found) == 6_000_000


@pytest.mark.long
def test_a_call_that_is_due_later_comes_then(app):
    @app.task
    def moment():
        return time.time()

    began = time.time()
    assert moment.apply_async(countdown=0.5).get(timeout=60) - began > 0.45


@pytest.mark.long
def test_a_call_is_tried_again(app, tmp_path):
    @app.task(retries=3, retry_backoff=0.01)
    def third_time():
        with (tmp_path / "tries").open("a+") as file:
            file.write("x")
            file.seek(0)
            if len(file.read()) < 3:
                raise OSError("not yet")
        return "done"

    assert third_time.delay().get(timeout=60) == "done"


def test_revoked_calls_do_not_start(sqlite_url, new_app, eventually):
    app = new_app(sqlite_url)

    @app.task
    def never():
        return 1

    waiting, later = never.delay(), never.apply_async(countdown=3600)
    for result in (waiting, later):
        result.revoke()
        with pytest.raises(TaskRevokedError):
            result.get(timeout=60)


@pytest.mark.long
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


def test_calls_of_a_child_that_is_killed_run_again(app, tmp_path, eventually):
    @app.task
    def once_killed(n):
        if n == 7:
            try:
                (tmp_path / "killed").touch(exist_ok=False)
            except FileExistsError:
                return n
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    assert once_killed.map(range(20)).get(timeout=60) == list(range(20))


@pytest.mark.long
def test_a_rate_limit_holds(app):
    @app.task(rate_limit="20/s")
    def moment():
        return time.time()

    began = sorted(result.get(timeout=60) for result in [moment.delay() for _ in range(5)])
    assert began[-1] - began[0] > 0.1


def test_another_client_finds_what_was_submitted(sqlite_url, home):
    with App("one", broker=sqlite_url) as app, App("other", broker=sqlite_url) as other:
        app.start_workers(1)
        run = app.task(abs).map([-1, -2])
        run.get(timeout=60)
        (found,) = other.attach(run.id)
        assert found.get(timeout=60) == [1, 2]
