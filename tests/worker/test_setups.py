"""What prepares the processes of workers from a notebook, what surrounds calls, and headers that signals add."""

from __future__ import annotations

import os
import signal as os_signal
from pathlib import Path

import pytest

from nbtasks import App, ConfigError
from nbtasks.signals import after_task_publish, before_task_publish

SOON = 60.0


def add(x, y=1):
    """Task code."""
    return x + y


async def add_later(x, y=1):
    """Task code in an event loop."""
    return x + y


@pytest.fixture
def prepared(home, ledger):
    """An App whose workers write down each call; its setup is a cell's, as it were."""
    path = ledger.path
    with App("prepared") as app:

        @app.worker_setup
        def prepare():
            import contextlib
            import os

            from nbtasks.signals import around_call, task_postrun

            with Path(path).open("a") as file:
                file.write(f"setup:{os.getpid()}\n")
            os.environ["PREPARED"] = "yes"

            @task_postrun.connect
            def note(task_id, state, **kwargs):
                with Path(path).open("a") as file:
                    file.write(f"postrun:{task_id}:{state}\n")

            @around_call
            @contextlib.contextmanager
            def surround(task, request):
                with Path(path).open("a") as file:
                    file.write(f"in:{task.name}:{request.id}\n")
                try:
                    yield
                except ValueError:
                    with Path(path).open("a") as file:
                        file.write("raised\n")
                    raise
                with Path(path).open("a") as file:
                    file.write("out\n")

        app.start_workers(1)
        yield app


@pytest.mark.parametrize("function", [add, add_later])
def test_a_setup_prepares_a_process_once(function, prepared, ledger, eventually):
    task = prepared.task(function)
    first, second = task.delay(1), task.delay(2)
    assert (first.get(timeout=SOON), second.get(timeout=SOON)) == (2, 3)
    assert prepared.task(lambda: os.environ["PREPARED"], name="reads").delay().get(timeout=SOON) == "yes"
    eventually(lambda: len([one for one in ledger.lines() if one.startswith("postrun")]) == 3, "all are told")
    lines = ledger.lines()
    assert [one.partition(":")[0] for one in lines] == ["setup"] + ["in", "out", "postrun"] * 3
    assert lines[1] == f"in:{task.name}:{first.id}"
    assert lines[3] == f"postrun:{first.id}:SUCCESS"


def test_a_new_process_and_a_new_version_are_prepared_anew(prepared, ledger, eventually):
    task = prepared.task(os.getpid)
    pid = task.delay().get(timeout=SOON)
    os.kill(pid, os_signal.SIGKILL)
    other = task.delay().get(timeout=SOON)
    assert other != pid
    assert [one for one in ledger.lines() if one.startswith("setup")] == [f"setup:{pid}", f"setup:{other}"]
    path = ledger.path

    def prepare():
        with Path(path).open("a") as file:
            file.write("another\n")

    prepare.__qualname__ = prepared._setups[0].__qualname__
    prepared.worker_setup(prepare)
    assert task.delay().get(timeout=SOON) == other
    assert "another" in ledger.lines()


def test_what_surrounds_a_call_sees_its_error(prepared, ledger):
    def fails():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        prepared.task(fails).delay().get(timeout=SOON)
    assert "raised" in ledger.lines()
    assert "out" not in ledger.lines()


def test_a_setup_that_raises_fails_its_calls_and_says_why(home):
    with App("broken") as app:

        @app.worker_setup
        def prepare():
            raise RuntimeError("no licence here")

        app.start_workers(1)
        with pytest.raises(RuntimeError, match="no licence here"):
            app.task(add).delay(1).get(timeout=SOON)


def test_a_wrong_setup_is_refused_where_it_is_made(home):
    with App("wrong") as app:
        for wrong, said in [
            (3, "int is no function"),
            (print, "is no function"),
            (lambda x: x, "takes x, and is called without arguments"),
            (add_later, "must be a plain def"),
        ]:
            with pytest.raises(ConfigError, match=said):
                app.worker_setup(wrong)


def test_headers_that_a_signal_adds_travel(shared_app):
    told = []

    @before_task_publish.connect
    def add_tenant(sender, body, headers, routing_key, **kwargs):
        told.append((sender, body[0], headers["task"], routing_key))
        headers["tenant"] = "blue"

    @after_task_publish.connect(sender="reads")
    def note(headers, **kwargs):
        told.append((headers["id"], headers["tenant"]))

    def reads(self, x):
        return self.request.headers

    try:
        task = shared_app.task(reads, bind=True, name="reads")
        handle = task.delay(1)
        assert handle.get(timeout=SOON) == {"tenant": "blue"}
        own = task.apply_async((2,), headers={"user": "ann"})
        assert own.get(timeout=SOON) == {"user": "ann", "tenant": "blue"}
        group = task.map([3, 4])
        assert group.get(timeout=SOON) == [{"tenant": "blue"}] * 2
    finally:
        assert before_task_publish.disconnect(add_tenant)
        assert after_task_publish.disconnect(note, sender="reads")
    assert told == [
        ("reads", (1,), "reads", "default"), (handle.id, "blue"),
        ("reads", (2,), "reads", "default"), (own.id, "blue"),
        ("reads", (), "reads", "default"), (group.id, "blue"),
    ]  # fmt: skip
    assert task.delay(1).get(timeout=SOON) == {}
