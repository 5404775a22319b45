"""What a task may ask about its own call, and what it may report of itself."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from nbtasks import App, current_call, progress, track

SOON = 60.0
POOLS = ["prefork", pytest.param("threads", marks=pytest.mark.long), "coroutines", "here"]


@pytest.fixture(scope="module", params=POOLS)
def run(request, run_folder):
    """``run(function, *args, **kwargs)`` runs ``function(self, ...)`` as a bound task; returns its handle."""
    pool = request.param
    with App(pool, namespace=f"t-request-{pool}") as app:
        if pool != "here":
            app.start_workers(1, **({"pool": "threads"} if pool == "threads" else {}))

        def submit(function, *args, **kwargs):
            async def later(self, *args, **kwargs):
                return function(self, *args, **kwargs)

            task = app.task(
                later if pool == "coroutines" else function, bind=True, name="named", time_limit=60
            )
            result = task.apply(args, kwargs) if pool == "here" else task.delay(*args, **kwargs)
            result.get(timeout=SOON)
            return result

        submit.pool = pool
        yield submit


def test_a_call_knows_its_arguments(run):
    def look(self, *args, **kwargs):
        same = self.request.args is current_call().args and self.request.args[1] is args[1]
        return self.request.args, self.request.kwargs, same

    assert run(look, 1, [2], three=3).result == ((1, [2]), {"three": 3}, True)
    assert run(look, 1, [2]).result[1] == {}


def test_what_else_a_call_knows(run):
    def look(self):
        request = self.request
        return (
            request.id, request.task, request.retries, request.is_eager, request.called_directly,
            request.timelimit, request.delivery_info["routing_key"], request.hostname,
        )  # fmt: skip

    result = run(look)
    here = run.pool == "here"
    found = result.result
    assert found[:5] == (result.id, "named", 0, here, False)
    if not here:
        assert found[5:7] == ((60.0, None), "default")
        assert found[7]


def test_arguments_are_not_kept_after_the_call(run):
    def keep(self, value):
        holder = type("Holder", (list,), {})([value])
        self.request.args += (holder,)
        sys.modules["kept_by_calls"] = (self.request, weakref.ref(holder))

    def look(self):
        request, holder = sys.modules["kept_by_calls"]
        gc.collect()
        return request.args, holder() is None

    run(keep, "x")
    if run.pool != "here":
        assert run(look).result == ((), True)


class Strange:
    """Has no number and no text."""

    def __float__(self):
        raise RuntimeError("no number")

    def __str__(self):
        raise RuntimeError("no text")

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        return iter("abc")


REPORTS = [
    "reading", None, [], [1, 2], {}, {"current": "reading"}, {"current": None, "total": "all"}, lambda: 0,
    {"current": float("nan"), "total": float("inf")}, {"current": -1, "total": 0}, {"current": 10**400},
    {"total": object()}, {1: 2, None: [3]}, {"step": "load", "file": "x" * 10_000}, b"bytes", 1 + 2j,
    {"current": np.float32(3), "total": np.int64(4)}, {"current": np.arange(3)}, "x" * 1_000_000,
    {str(i): i for i in range(10_000)}, (i for i in range(3)), object(),
]  # fmt: skip


def test_a_progress_report_never_fails_its_call(run):
    import cloudpickle

    reports = [cloudpickle.dumps(report) if callable(report) else report for report in REPORTS[:-2]]

    def report(self, reports):
        for state in ("PROGRESS", "", None, 5, Strange(), "x" * 100_000, "SUCCESS"):
            for meta in [*reports, Strange(), (i for i in range(3)), object(), lambda: 0]:
                self.update_state(state, meta)
                self.update_state(state=state, meta=meta)
        for value in [*reports, Strange(), object(), True, -5, 1e400]:
            progress(value)
            progress(value, value, value)
            progress(1, value)
        self.update_state(task_id="another", state="PROGRESS", meta={"current": 1})
        return list(track(Strange(), total=Strange(), message=Strange())), list(track(Strange()))

    assert run(report, reports).result == (list("abc"), list("abc"))


def test_progress_from_a_thread_of_the_call(shared_app, gate, eventually):
    @shared_app.task(bind=True)
    def report(self, path):
        thread = threading.Thread(target=self.update_state, args=("PROGRESS", {"current": 3}))
        thread.start()
        thread.join()
        end = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.005)

    result = report.delay(gate.path)
    assert eventually(lambda: result.progress, "it is shown").done == 3
    gate.open()
    result.get(timeout=SOON)


def test_a_subtask_that_ends_its_program_in_a_call_that_runs_here(shared_app):
    @shared_app.task
    async def end():
        async def sub():
            sys.exit("out")

        await asyncio.gather(sub())

    result = end.apply()
    assert result.state == "FAILURE"
    assert "out" in result.traceback


@pytest.mark.parametrize(
    ("meta", "shown"),
    [
        ({"current": "reading", "total": 3}, (0.0, 3.0, "reading")),
        ({"current": 2, "total": 4, "message": "half"}, (2.0, 4.0, "half")),
        ({"current": 2, "step": "load"}, (2.0, None, "step=load")),
        ({"current": "2", "total": "4"}, (2.0, 4.0, "PROGRESS")),
        (None, (0.0, None, "PROGRESS")),
        (["a", 1], (0.0, None, "['a', 1]")),
        ({"current": float("nan"), "total": float("inf")}, (0.0, None, "nan of inf")),
        ({"current": -1, "total": 0}, (0.0, None, "PROGRESS")),
        ({"current": np.int64(1), "total": np.float32(2)}, (1.0, 2.0, "PROGRESS")),
    ],
)
def test_what_is_no_number_is_shown_as_text(shared_app, gate, eventually, meta, shown):
    @shared_app.task(bind=True)
    def report(self, path):
        self.update_state("PROGRESS", meta)
        end = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.005)

    result = report.delay(gate.path)
    found = eventually(lambda: result.progress, "it is shown")
    assert (found.done, found.total, found.message) == shown
    gate.open()
    result.get(timeout=SOON)
