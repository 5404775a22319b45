"""Apps whose calls run where they are submitted, and the fixtures for tests of code that uses tasks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import nbtasks
from nbtasks import App, AsyncResult, ConfigError, NotPicklable, Task, UnknownCall, chain, chord, group
from nbtasks.monitor.monitor import Monitor


@pytest.fixture
def app(home):
    with App("eager", eager=True) as app:
        yield app
    # Nothing was started for it.
    assert not (home / "embedded").exists()


def test_a_call_runs_where_it_is_submitted(app, capsys):
    seen = []

    @app.task
    def note(value):
        seen.append((value, threading.current_thread()))
        print("noted", value)
        return value * 2

    call = note.delay(4)
    assert seen == [(4, threading.current_thread())]
    assert capsys.readouterr().out == "noted 4\n"
    assert (call.ready(), call.state, call.get(), call.result) == (True, "SUCCESS", 8, 8)
    assert isinstance(call, AsyncResult)
    assert app.AsyncResult(call.id) == call
    assert note.apply_async((5,), countdown=3600, queue="x", priority=9, time_limit=60, expires=5).get() == 10
    assert note.map([1, 2]).get() == [2, 4]
    assert note.starmap([(1,)]).get() == [2]
    assert note.map([1, 2, 3], max_parallel=1).get(timeout=60) == [2, 4, 6]
    with pytest.raises(UnknownCall):
        app.AsyncResult("0" * 20)


def test_arguments_and_results_are_pickled_as_for_a_worker(app):
    given = {"a": 1}

    @app.task
    def change(what):
        what["a"] = 2
        return what

    assert change.delay(given).get() == {"a": 2}
    assert given == {"a": 1}
    with pytest.raises(NotPicklable):
        change.delay(threading.Lock())
    assert isinstance(app.task(threading.Lock, name="lock").delay().result, NotPicklable)
    with pytest.raises(TypeError, match="change"):
        change.delay()


def test_a_failure_raises_at_get_or_where_it_is_submitted(app):
    @app.task
    def fail():
        raise ValueError("no")

    call = fail.delay()
    assert (call.state, call.failed()) == ("FAILURE", True)
    assert "ValueError" in call.traceback
    with pytest.raises(ValueError, match="no"):
        call.get()
    app.conf.task_eager_propagates = True
    with pytest.raises(ValueError, match="no"):
        fail.delay()


def test_retries_come_at_once(app):
    @app.task(bind=True, default_retry_delay=3600, max_retries=2)
    def again(self, number):
        if number < 2:
            raise self.retry(args=(number + 1,))
        return number, self.request.retries, self.request.is_eager, self.request.id

    began = time.monotonic()
    call = again.delay(0)
    assert call.get() == (2, 2, True, call.id)
    assert isinstance(again.delay(-1).result, nbtasks.MaxRetriesExceededError)
    assert time.monotonic() - began < 600


def test_tasks_that_submit_classes_and_coroutines(app):
    @app.task
    async def later(value):
        return value + 1

    class Outer(Task):
        def run(self, value):
            return later.delay(value).get()

        def on_success(self, retval, task_id, args, kwargs):
            self.told = retval

    outer = app.register_task(Outer())
    assert outer.delay(1).get() == 2
    assert outer.told == 2


def test_compositions_run_here_too(app):
    seen = []

    @app.task
    def add(x, y):
        seen.append((x, y))
        return x + y

    @app.task
    def total(values):
        return sum(values)

    assert chain(add.s(1, 2), add.s(3)).delay().get() == 6
    assert group(add.s(1, n) for n in range(3)).delay().get() == [1, 2, 3]
    assert chord([add.s(1, n) for n in range(3)])(total.s()).get() == 6
    assert seen[:2] == [(1, 2), (3, 3)]


def test_an_app_can_become_eager_and_stop(shared_app):
    @shared_app.task
    def where():
        return os.getpid()

    shared_app.conf.task_always_eager = True
    try:
        assert where.delay().get() == os.getpid()
        shared_app.start_workers(1)
        with pytest.raises(ConfigError, match="is eager"):
            _ = shared_app.session
        with pytest.raises(ConfigError, match=r"^events: .* is eager"):
            shared_app.events()
        with pytest.raises(ConfigError, match=r"^dashboard: .* is eager"):
            Monitor(shared_app)
    finally:
        shared_app.conf.task_always_eager = False
    assert where.delay().get(timeout=60) != os.getpid()
    with pytest.raises(ConfigError, match="task_always_eager"):
        shared_app.conf.task_always_eager = "yes"


PROJECT = """
from nbtasks import App, task
app = App("project", broker="redis://nowhere.invalid:6379/0")

@app.task
def add(x, y):
    return x + fetch(y)

@task
def double(x):
    import os
    return 2 * x, os.getpid()

def fetch(y):
    raise OSError("the network")
"""
TESTS = """
import os
import project

def test_here(nbtasks_eager, monkeypatch):
    monkeypatch.setattr(project, "fetch", lambda y: y)
    assert project.add.delay(1, 2).get() == 3
    assert project.double.delay(1).get() == (2, os.getpid())

def test_there(nbtasks_worker):
    value, pid = project.double.delay(1).get(timeout=60)
    assert (value, pid != os.getpid()) == (2, True)
"""


def test_the_fixtures_of_pytest(project):
    (project / "project.py").write_text(PROJECT)
    (project / "test_project.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "nbtasks.pytest_plugin", "-p", "no:cacheprovider"],
        # What workers have in the place of pytest is not meant here.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "PYTHONPATH": ""},
        cwd=project, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, textwrap.indent(done.stdout + done.stderr, "| ")
    assert "2 passed" in done.stdout
