"""Calls over a PostgreSQL, from end to end: an App, real workers."""

from __future__ import annotations

import os
import signal
import time

import pytest

from nbtasks import App, chord, group
from nbtasks.exceptions import TaskRevokedError
from tests.servers.postgresql import PgBouncer, PostgreSQL


@pytest.fixture
def app(postgres_url, new_app):
    """An App with a worker of two children."""
    app = new_app(postgres_url)
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


def test_what_is_large_goes_there_and_back(app):
    found = app.task(lambda text: text * 2).delay("x" * 3_000_000).get(timeout=60)
    assert len(found) == 6_000_000


def test_a_call_that_is_due_later_comes_then(app):
    @app.task
    def moment():
        return time.time()

    began = time.time()
    assert moment.apply_async(countdown=0.5).get(timeout=60) - began > 0.45


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


def test_revoked_calls_do_not_start(postgres_url, new_app, eventually):
    app = new_app(postgres_url)

    @app.task
    def never():
        return 1

    waiting, later = never.delay(), never.apply_async(countdown=3600)
    for result in (waiting, later):
        result.revoke()
        with pytest.raises(TaskRevokedError):
            result.get(timeout=60)


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


def test_a_rate_limit_holds(app):
    @app.task(rate_limit="20/s")
    def moment():
        return time.time()

    began = sorted(result.get(timeout=60) for result in [moment.delay() for _ in range(5)])
    assert began[-1] - began[0] > 0.1


def test_another_client_finds_what_was_submitted(postgres_url, home):
    with App("one", broker=postgres_url) as app, App("other", broker=postgres_url) as other:
        app.start_workers(1)
        run = app.task(abs).map([-1, -2])
        run.get(timeout=60)
        (found,) = other.attach(run.id)
        assert found.get(timeout=60) == [1, 2]


def test_through_a_pooler_that_wakes_nobody(postgres_server, start_server, new_app):
    pooler = start_server(PgBouncer, postgres_server)
    with postgres_server.database() as name:
        app = new_app(pooler.url(name))
        app.start_workers(1)
        assert app.task(abs).map(range(-200, 0)).get(timeout=60) == list(range(200, 0, -1))
        app.close()


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


# -- workflows


@pytest.mark.long
def test_a_workflow_goes_on_whoever_is_killed_in_it(app, tmp_path):
    """A member of a group, one that follows it, and what gets all of their values, each once."""

    @app.task
    def kills_once(n, mark=0):
        if mark and n % 10 == 3:
            try:
                (tmp_path / f"{mark}-{n}").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return n

    @app.task
    def total(numbers):
        with (tmp_path / "totals").open("a") as file:
            file.write("x")
        return sum(numbers)

    chains = group(kills_once.s(n, 1) | kills_once.s(2) for n in range(20))
    assert (chains | total.s() | kills_once.s()).delay().get(timeout=60) == sum(range(20))
    assert (tmp_path / "totals").read_text() == "x"


@pytest.mark.long
def test_a_failure_reaches_what_comes_after_it_and_is_mended(app, tmp_path):
    @app.task
    def read(path):
        return open(path).read()  # noqa: PTH123

    @app.task
    def told(call_id):
        (tmp_path / f"told-{call_id}").touch()

    size = app.task(len)
    missing = str(tmp_path / "missing")
    run = chord([read.s(missing), read.s(os.devnull)], size.s()).on_error(told.s()).delay()
    with pytest.raises(FileNotFoundError):
        run.get(timeout=60)
    errback = next(one for one in run.steps if one.name.endswith("told"))
    errback.get(timeout=60)
    assert (tmp_path / f"told-{run.id}").exists()
    (tmp_path / "missing").write_text("there")
    run.retry()
    assert run.get(timeout=60) == 2


@pytest.mark.long
def test_a_call_is_replaced_and_handles_are_arguments(app):
    size, double = app.task(len), app.task(lambda n: 2 * n)

    @app.task(bind=True)
    def through_others(self, texts):
        raise self.replace(group(size.s(text) | double.s() for text in texts))

    replaced = through_others.delay(["a", "bb"])
    both = app.task(lambda first, rest: [*first, *rest.values()]).delay(
        replaced, {"later": double.map([5, 6])}
    )
    assert both.get(timeout=60) == [2, 4, [10, 12]]


def test_what_waits_for_a_revoked_call_ends_with_it(app):
    @app.task(queue="nobody")
    def never():
        return 1

    run = (never.si() | app.task(abs).s()).delay()
    run.parent.revoke()
    with pytest.raises(TaskRevokedError):
        run.get(timeout=60)


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
