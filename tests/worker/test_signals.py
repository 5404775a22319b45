"""Signals in workers: which ones come, in which order, with what; and that receivers harm nobody."""

from __future__ import annotations

import json
import os
import signal as os_signal
import textwrap
from pathlib import Path

import pytest

from nbtasks import App, TaskError, TaskRevokedError
from nbtasks.signals import task_postrun, task_prerun, task_success

SOON = 60.0

#: A module of the worker's own, which writes down what it is told of.
RECEIVERS = """
    import contextvars, json, os, signal
    import nbtasks.signals as signals

    NOTES = {notes!r}
    tenant = contextvars.ContextVar("tenant", default=None)
    loaded = None

    def note(*said):
        with open(NOTES, "a") as file:
            file.write(json.dumps([os.getpid(), *said]) + "\\n")

    @signals.worker_init.connect
    def load(**kwargs):
        global loaded
        loaded = "model"
        note("worker_init")

    @signals.worker_process_init.connect
    def begin(**kwargs):
        os.environ["OF_THE_PROCESS"] = loaded
        note("worker_process_init")
        try:
            os.remove(NOTES + "-told-to-end")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGTERM)

    @signals.worker_ready.connect
    def ready(sender, **kwargs):
        note("worker_ready", sender)

    @signals.worker_shutting_down.connect
    def ends(sender, how, **kwargs):
        note("worker_shutting_down", how)

    @signals.worker_process_shutdown.connect
    def process_ends(pid, **kwargs):
        note("worker_process_shutdown", pid)

    @signals.worker_shutdown.connect
    def ended(**kwargs):
        note("worker_shutdown")

    @signals.task_prerun.connect
    def before(sender, task_id, task, args, kwargs, **rest):
        tenant.set("blue")
        note("task_prerun", sender.name, task_id, task.request.id, list(args), kwargs)

    @signals.task_postrun.connect
    def after(sender, task_id, task, args, kwargs, retval, state, **rest):
        note("task_postrun", task_id, list(args), repr(retval), state, tenant.get())

    @signals.task_success.connect
    def good(sender, result, runtime, **rest):
        note("task_success", sender.name, result, runtime >= 0)

    @signals.task_failure.connect
    def bad(sender, task_id, exception, traceback, einfo, **rest):
        note("task_failure", task_id, repr(exception), traceback is not None, str(einfo))

    @signals.task_retry.connect
    def again(sender, request, reason, einfo, **rest):
        note("task_retry", request.id, str(reason))

    @signals.task_revoked.connect
    def revoked(sender, request, terminated, **rest):
        note("task_revoked", request.id, terminated)

    @signals.task_postrun.connect(sender="raises_in_receiver")
    def broken(**kwargs):
        raise RuntimeError("the receiver is broken")

    @signals.task_prerun.connect(sender="raises_in_receiver")
    def ends_the_program(**kwargs):
        raise SystemExit(3)
"""


class Notes:
    """What the receivers have written down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[list]:
        """Everything, in order: [pid, signal, ...]."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def of(self, handle) -> list[list]:
        """What was told of one call, without the pid."""
        return [one[1:] for one in self.all() if one[1].startswith("task_") and handle.id in one]

    def named(self, *names: str) -> list[list]:
        """What came of some signals."""
        return [one for one in self.all() if one[1] in names]


@pytest.fixture
def notes(project):
    path = project / "notes"
    (project / "receivers.py").write_text(textwrap.dedent(RECEIVERS).format(notes=str(path)))
    return Notes(path)


@pytest.fixture(params=["prefork", pytest.param("threads", marks=pytest.mark.long)])
def told(notes, request):
    """An App whose workers have the receivers."""
    with App("told", include=["receivers"]) as app:
        app.start_workers(2, pool=request.param)
        yield app


def adds(x, y=1):
    """Task code."""
    return x + y


async def adds_later(x, y=1):
    """Task code in an event loop."""
    return x + y


def fails(what):
    """Task code."""
    raise ValueError(what)


@pytest.mark.parametrize("function", [adds, adds_later])
def test_a_call_is_told_of_in_order(function, told, notes, eventually):
    handle = told.task(function).delay(2, y=3)
    assert handle.get(timeout=SOON) == 5
    eventually(lambda: len(notes.of(handle)) == 2, "both are told")
    name = handle.name
    assert name == f"{__name__}.{function.__name__}"
    assert notes.of(handle) == [
        ["task_prerun", name, handle.id, handle.id, [2], {"y": 3}],
        ["task_postrun", handle.id, [2], "5", "SUCCESS", "blue"],
    ]
    order = [one[1] for one in notes.all() if one[1].startswith("task_")]
    assert order == ["task_prerun", "task_success", "task_postrun"]
    assert notes.named("task_success")[0][2:] == [name, 5, True]


def test_failures_and_retries_are_told(told, notes, eventually):
    handle = told.task(fails, max_retries=1, autoretry_for=OSError).delay("broken")
    with pytest.raises(ValueError, match="broken"):
        handle.get(timeout=SOON)
    eventually(lambda: notes.named("task_postrun"), "its end is told")
    (failure,) = notes.named("task_failure")
    assert failure[2:5] == [handle.id, "ValueError('broken')", True]
    assert "in fails" in failure[5]
    assert notes.named("task_postrun")[0][4:6] == ["ValueError('broken')", "FAILURE"]

    again = told.task(fails, retries=1, default_retry_delay=0.01).delay("twice")
    with pytest.raises(ValueError, match="twice"):
        again.get(timeout=SOON)
    eventually(lambda: len([one for one in notes.of(again) if one[0] == "task_postrun"]) == 2, "two ends")
    states = [
        one[4] if one[0] == "task_postrun" else one[0] for one in notes.of(again) if one[0] != "task_prerun"
    ]
    assert states == ["task_retry", "RETRY", "task_failure", "FAILURE"]


def test_what_cannot_be_sent_back_is_told_as_the_failure_that_it_is(told, notes, eventually):
    handle = told.task(lambda: (item for item in ()), name="gives_a_generator").delay()
    with pytest.raises(Exception, match="cannot be sent"):
        handle.get(timeout=SOON)
    (failure,) = eventually(lambda: notes.named("task_failure"), "it is told")
    assert "cannot be sent" in failure[3]
    assert not notes.named("task_success")


def test_a_revoked_call_is_told(told, notes, eventually):
    def waits():
        import time

        for _ in range(10_000):
            time.sleep(0.01)

    handle = told.task(waits).delay()
    eventually(lambda: handle.state == "STARTED", "it runs")
    handle.revoke(terminate=True)
    with pytest.raises(TaskRevokedError):
        handle.get(timeout=SOON)
    eventually(lambda: notes.named("task_postrun"), "its end is told")
    assert notes.named("task_revoked")[0][2:] == [handle.id, True]
    assert notes.named("task_postrun")[0][5] == "REVOKED"


def test_a_receiver_that_raises_harms_no_call(told):
    task = told.task(adds, name="raises_in_receiver")
    with pytest.raises(TaskError, match="SystemExit: 3"):
        # It is the program's end that this receiver asks for, before the call: the call pays, and nobody else.
        task.delay(1).get(timeout=SOON)
    assert told.task(adds).map(range(20)).get(timeout=SOON) == list(range(1, 21))


def test_the_worker_tells_of_itself(notes, eventually):
    with App("told", include=["receivers"]) as app:
        app.start_workers(2)
        assert app.task(lambda: os.environ["OF_THE_PROCESS"]).delay().get(timeout=SOON) == "model"
        # What a call does to the environment is put back, what a receiver does stays.
        task = app.task(lambda: os.environ.pop("OF_THE_PROCESS"), name="pops")
        assert task.map(range(0)).get() == []
        for _ in range(3):
            assert task.delay().get(timeout=SOON) == "model"
        eventually(lambda: notes.named("worker_ready"), "it is ready")
        first = notes.named("worker_ready")[0][0]
        before = len(notes.named("worker_process_init"))
        os.kill(first, os_signal.SIGKILL)
        eventually(lambda: len(notes.named("worker_process_init")) == before + 1, "a new child has begun")
        app.stop_workers()
    names = [one[1] for one in notes.all() if one[1].startswith("worker_")]
    assert names[0] == "worker_init"
    assert names.count("worker_init") == names.count("worker_ready") == 1
    assert names.count("worker_shutting_down") == names.count("worker_shutdown") == 1
    assert names.count("worker_process_shutdown") == 2
    assert names.index("worker_shutting_down") < names.index("worker_shutdown")


def test_a_process_that_is_told_to_end_at_once(notes, eventually):
    notes.path.with_name("notes-told-to-end").touch()
    with App("told", include=["receivers"]) as app:
        app.start_workers(1)
        begun = notes.named("worker_process_init")[0][0]
        eventually(lambda: notes.named("worker_process_shutdown"), "its end is told")
        assert notes.named("worker_process_shutdown")[0][0] == begun


def test_apply_tells_here():
    said = []

    @task_prerun.connect
    def before(task, args, **kwargs):
        said.append(("prerun", task.name, args))

    @task_success.connect(sender=f"{__name__}.adds")
    def good(result, **kwargs):
        said.append(("success", result))

    @task_postrun.connect
    def after(state, **kwargs):
        said.append(("postrun", state))

    try:
        with App("here") as app:
            assert app.task(adds).apply((2,)).get() == 3
            assert app.task(adds, name="other").apply((3,)).get() == 4
    finally:
        for signal, receiver in ((task_prerun, before), (task_success, good), (task_postrun, after)):
            assert signal.disconnect(receiver) or signal.disconnect(receiver, sender=f"{__name__}.adds")
    assert said == [
        ("prerun", f"{__name__}.adds", (2,)), ("success", 3), ("postrun", "SUCCESS"),
        ("prerun", "other", (3,)), ("postrun", "SUCCESS"),
    ]  # fmt: skip
