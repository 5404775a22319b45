"""``App(engine=...)``: the same tasks, handles and cards on executors of concurrent.futures, without any server."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

import nbtasks
from nbtasks import App, ConfigError, UnknownCall, WorkerLostError, WouldDeadlock
from nbtasks.client.batches.course import course_of
from nbtasks.monitor.monitor import Monitor

#: Those that this process has open.
DESCRIPTORS = Path("/proc/self/fd")
#: What a notebook defines; in processes of a pool nothing of this module is known.
NOTEBOOK = """
import os, pathlib, sys, time
import nbtasks

class Point:
    def __init__(self, x):
        self.x = x

OFFSET = 10

def add(a, b=OFFSET):
    return a + b

def point(x):
    print("made", x)
    print("told", x, file=sys.stderr)
    return Point(x)

def count(values):
    return len(values)

def fail(x):
    raise ValueError(f"no {x}")

def fail_odd(x):
    if x % 2:
        raise ValueError(f"odd {x}")
    return x

def flaky(least):
    attempt = nbtasks.current_call().attempt
    if attempt < least:
        raise OSError(f"attempt {attempt}")
    return attempt

def until(gate, begun=None):
    if begun is not None:
        pathlib.Path(begun).touch()
    for step in nbtasks.track(range(10_000)):
        if os.path.exists(gate):
            return step
        if not step:
            print("waiting")
        time.sleep(0.01)

def generator():
    return (i for i in range(3))

def large(n):
    return bytes(n)

async def later(x):
    return x + 1

def asks_again(self):
    if self.request.retries:
        return self.request.retries
    raise self.retry(exc=OSError("busy"), countdown=0.05)

def die():
    os._exit(7)
"""


def notebook() -> dict[str, Any]:
    """Names as a notebook has them."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(NOTEBOOK, "<cell>", "exec"), names)
    return names


@pytest.fixture(scope="module")
def on_threads() -> Iterator[App]:
    """An App on two threads."""
    with ThreadPoolExecutor(2) as pool, App("threads", engine=pool) as app:
        yield app


@pytest.fixture(scope="module")
def on_processes() -> Iterator[App]:
    """An App on two processes."""
    with processes(2) as pool, App("processes", engine=pool) as app:
        yield app


@pytest.fixture(scope="module", autouse=True)
def no_tracker_stays() -> Iterator[None]:
    """What multiprocessing starts beside its first process would go on until this one ends."""
    yield
    resource_tracker._resource_tracker._stop()


def processes(n: int) -> ProcessPoolExecutor:
    """A pool whose processes have inherited nothing."""
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(params=["on_threads", "on_processes"])
def executed(request: pytest.FixtureRequest) -> App:
    """Each of the two."""
    app: App = request.getfixturevalue(request.param)
    return app


@pytest.fixture
def names() -> dict[str, Any]:
    """Functions of a notebook."""
    return notebook()


def test_calls_and_maps_give_their_values(executed, names):
    add = executed.task(names["add"])
    assert add.delay(1).get(timeout=60) == 11
    assert add.apply_async((1,), {"b": 2}).get(timeout=60) == 3
    assert add.map(range(300)).get(timeout=60) == list(range(10, 310))
    assert add.starmap([(1, 2), (3, 4)]).get(timeout=60) == [3, 7]
    assert add.map([]).get(timeout=60) == []
    assert add.map(iter(range(5)), max_parallel=2).get(timeout=60) == [10, 11, 12, 13, 14]
    assert sorted(one.get() for one in add.map(range(4)).as_completed(60)) == [10, 11, 12, 13]
    assert executed.task(names["later"]).delay(1).get(timeout=60) == 2


def test_results_are_of_the_notebooks_classes_and_output_stays_with_its_call(executed, names, capsys):
    handle = executed.task(names["point"]).delay(4)
    found = handle.get(timeout=60)
    assert (type(found).__name__, found.x) == ("Point", 4)
    assert (handle.stdout, handle.stderr) == ("made 4\n", "told 4\n")
    assert [line.text for line in handle.batch.output] == ["made 4\n", "told 4\n"]
    assert handle.worker
    assert handle.runtime is not None
    assert handle.date_done is not None
    assert "made" not in capsys.readouterr().out


def test_a_task_sees_what_the_notebook_had_and_changes_nothing_there(executed, names):
    exec("seen = []\ndef keep(x):\n    seen.append(x)\n    return len(seen)", names)
    keep = executed.task(names["keep"])
    assert keep.map(range(5)).get(timeout=60) == [1] * 5
    assert names["seen"] == []
    exec("def keep(x):\n    return OFFSET", names)
    names["OFFSET"] = 12
    assert executed.task(names["keep"]).delay(0).get(timeout=60) == 12


def test_failures_have_their_type_and_their_traceback(executed, names):
    handle = executed.task(names["fail"]).delay(3)
    with pytest.raises(ValueError, match="no 3"):
        handle.get(timeout=60)
    assert handle.state == "FAILURE"
    assert re.search(r"<cell>.*in fail", handle.traceback or "")

    group = executed.task(names["fail_odd"]).map(range(4))
    with pytest.raises(ValueError, match="odd 1"):
        group.get(timeout=60)
    assert (group.completed_count(), group.failed_count()) == (2, 2)
    again = group.retry_failed()
    assert [type(value) for value in again.get(timeout=60, propagate=False)] == [int, ValueError] * 2
    assert [call.retries for call in group] == [0, 1, 0, 1]
    kept = executed.task(names["fail_odd"]).map(range(2), on_error="keep").get(timeout=60)
    assert [type(value) for value in kept] == [int, ValueError]


def test_the_table_of_a_map(executed, names):
    pytest.importorskip("pandas")
    group = executed.task(names["fail_odd"]).map(range(2))
    group.until_ready(60)
    frame = group.to_frame()
    assert list(frame["state"]) == ["SUCCESS", "FAILURE"]
    assert frame["error"][1] == "ValueError: odd 1"


def test_calls_are_tried_again(executed, names):
    handle = executed.task(names["flaky"], retries=3, default_retry_delay=0.05).delay(3)
    assert handle.get(timeout=60) == 3
    assert handle.retries == 2
    with pytest.raises(OSError, match="attempt 2"):
        executed.task(names["flaky"]).apply_async((9,), retries=1).get(timeout=60)


def test_an_attempt_that_asks_for_the_next_says_what_made_it_ask(executed, names):
    handle = executed.task(names["asks_again"], bind=True).delay()
    assert handle.get(timeout=60) == 1
    assert [one.error for one in course_of(handle.batch, 0).attempts] == ["OSError: busy", ""]


def test_a_call_that_may_not_begin_yet_says_when_and_why(on_threads, names, eventually):
    later = on_threads.task(names["add"]).apply_async((1,), countdown=3 * 86_400)
    assert re.fullmatch(r"scheduled for \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", later.why_pending())
    later.revoke()
    again = on_threads.task(names["flaky"], retries=3, default_retry_delay=600).delay(3)
    told = eventually(lambda: "again in" in (again.why_pending() or "") and again.why_pending(), "it waits")
    assert told.startswith("waits for its next attempt: again in ")
    assert told.endswith(" s, after OSError: attempt 1")
    again.revoke()


def test_large_values_travel(executed, names):
    shared = bytes(2 * 2**20)
    count = executed.task(names["count"])
    assert count.map([shared] * 5).get(timeout=60) == [len(shared)] * 5
    assert count.map([bytes(200_000), bytes(300_000)]).get(timeout=60) == [200_000, 300_000]
    assert count.map(iter([bytes(100_000)] * 3), max_parallel=1).get(timeout=60) == [100_000] * 3
    assert len(executed.task(names["large"]).delay(3 * 2**20).get(timeout=60)) == 3 * 2**20
    names["data"] = bytes(range(256)) * 1000
    exec("def of_data(i):\n    return len(data) + i", names)
    assert executed.task(names["of_data"]).map(range(40), chunk=1).get(timeout=60) == list(
        range(256_000, 256_040)
    )


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="counts descriptors where Linux lists them")
def test_values_that_calls_have_in_common_stay_open_no_longer_than_their_calls(on_threads, names):
    shared, before = bytes(2 * 2**20), len(list(DESCRIPTORS.iterdir()))
    for _ in range(10):
        on_threads.task(names["count"]).map([shared] * 5, chunk=1).get(timeout=60)
    # What others of this process open meanwhile are a few.
    assert len(list(DESCRIPTORS.iterdir())) < before + 10


def test_a_result_that_cannot_leave_its_process_is_a_failure(executed, names):
    with pytest.raises(nbtasks.NotPicklable, match=r"cannot be sent.*generator"):
        executed.task(names["generator"]).delay().get(timeout=60)


def test_callbacks_are_called(executed, names, eventually):
    done: list[Any] = []
    executed.task(names["add"]).delay(1).then(lambda handle: done.append(handle.get()))
    executed.task(names["fail"]).delay(1).then(done.append, lambda handle: done.append(handle.state))
    eventually(lambda: sorted(map(str, done)) == ["11", "FAILURE"])


def test_what_has_not_begun_is_revoked_and_what_runs_goes_on(executed, names, tmp_path, gate, eventually):
    begun = [str(tmp_path / f"begun{i}") for i in range(2)]
    until = executed.task(names["until"])
    running = [until.delay(gate.path, each) for each in begun]
    eventually(lambda: all(map(os.path.exists, begun)))
    group = executed.task(names["add"]).map(range(100), chunk=1)
    single = executed.task(names["add"]).apply_async((1,), countdown=600)
    assert "scheduled for" in single.why_pending()
    assert "busy" in group.why_pending()
    for handle in (group, single, running[0]):
        handle.revoke()
    assert single.state == "REVOKED"
    eventually(lambda: running[0].state == "STARTED")
    # A pool takes some into the pipe to its processes before any of them is free.
    eventually(lambda: group.batch.counts()["REVOKED"] >= 90)
    gate.open()
    assert all(isinstance(handle.get(timeout=60), int) for handle in running)
    assert group.until_ready(60)
    with pytest.raises(nbtasks.TaskRevokedError):
        single.get(timeout=60)


def test_what_was_revoked_does_not_begin_with_its_neighbours(on_threads, names, tmp_path, gate, eventually):
    """Calls of one errand run one after another."""
    exec("def mark(gate, path):\n    pathlib.Path(path).touch()\n    return until(gate)", names)
    marks = [tmp_path / f"mark{number}" for number in range(5)]
    group = on_threads.task(names["mark"]).starmap([(gate.path, str(mark)) for mark in marks], chunk=5)
    eventually(marks[0].exists)
    group.revoke()
    assert group.batch.revoked_count == 4
    gate.open()
    assert group.until_ready(60)
    assert group.completed_count() == 1
    on_threads.task(names["add"]).map(range(10)).get(timeout=60)
    assert not any(mark.exists() for mark in marks[1:])


def test_the_first_failure_stops_a_map(executed, names):
    exec("def fail_first(x):\n    if not x:\n        raise ValueError('first')\n    time.sleep(0.01)", names)
    group = executed.task(names["fail_first"]).map(range(1000), on_error="stop", chunk=1)
    assert group.until_ready(60)
    assert group.failed_count() == 1
    assert group.batch.revoked_count > 500


def test_options_that_the_executor_cannot_do_are_refused_at_the_call(on_threads, names):
    options: dict[str, Any] = {
        "queue": "io", "priority": "high", "time_limit": 3, "soft_time_limit": 3, "expires": 10, "seed": 1,
    }  # fmt: skip
    add = on_threads.task(names["add"])
    for name, value in options.items():
        for submit in (lambda **given: add.apply_async((1,), **given), lambda **given: add.map([1], **given)):
            with pytest.raises(ConfigError, match=rf"^{name}=.*ThreadPoolExecutor, .*App\(\)"):
                submit(**{name: value})
    for name, value in {**options, "rate_limit": "1/s"}.items():
        with pytest.raises(ConfigError, match=f"^{name}="):
            on_threads.task(names["add"], **{name: value}).delay(1)
    # What is said anyway is not refused.
    assert add.apply_async((1,), queue="default", priority="normal", time_limit=None).get(timeout=60) == 11


def test_what_only_a_broker_has_is_refused(on_threads, names, tmp_path):
    requests = [
        lambda: on_threads.start_workers(2),
        lambda: on_threads.local_workers,
        lambda: on_threads.connection,
        lambda: on_threads.session,
        on_threads.check,
        on_threads.invite,
        on_threads.events,
        on_threads.dashboard,
        lambda: Monitor(on_threads),
        lambda: on_threads.write_connection_file(tmp_path / "file"),
        lambda: on_threads.task(names["add"]).delay(1).revoke(terminate=True),
        lambda: on_threads.task(names["add"]).map([1]).revoke(terminate=True),
    ]
    for request in requests:
        with pytest.raises(ConfigError, match="this App runs its calls on a ThreadPoolExecutor"):
            request()
    with pytest.raises(UnknownCall, match="keeps nothing"):
        on_threads.attach("01a21f4e7ff93e98f954")
    on_threads.stop_workers()
    assert on_threads.stranded() == []


def test_what_an_app_with_an_executor_cannot_be_told(home):
    with ThreadPoolExecutor(1) as pool:
        given: dict[str, Any] = {
            "broker": "redis://localhost", "namespace": "n", "key": bytes(32), "include": ["json"],
            "connection_file": "file", "listen": True, "result_expires": 60,
        }  # fmt: skip
        for name, value in given.items():
            with pytest.raises(ConfigError, match=rf"^{name}: App\(engine=...\) has no broker"):
                App(engine=pool, **{name: value})
    with pytest.raises(ConfigError, match="engine: int is no executor"):
        App(engine=4)  # type: ignore[arg-type]


def test_no_server_is_started_and_no_key_is_made(home, names):
    with ThreadPoolExecutor(1) as pool, App(engine=pool) as app:
        assert App.current() is app
        assert nbtasks.task(names["add"]).delay(1).get(timeout=60) == 11
        (worker,) = app.workers()
        assert (worker.name, worker.slots_total) == ("ThreadPoolExecutor", 1)
    assert list(home.iterdir()) == []


def test_handles_are_found_again_by_their_ids(on_threads, names):
    handle, group = on_threads.task(names["add"]).delay(1), on_threads.task(names["add"]).map([1, 2])
    assert on_threads.AsyncResult(handle.id) == handle
    assert on_threads.GroupResult(group.id).get(timeout=60) == [11, 12]
    assert group.id in [each.id for each in on_threads.attach(last=5)]


def test_progress_and_output_of_threads_are_seen_while_they_run(on_threads, names, gate, eventually):
    handle = on_threads.task(names["until"]).delay(gate.path)
    eventually(lambda: handle.progress is not None and handle.progress.done > 2)
    eventually(lambda: handle.state == "STARTED", "it is known that it runs")
    assert handle.progress.total == 10_000
    assert [line.text for line in handle.batch.output] == ["waiting\n"]
    gate.open()
    handle.get(timeout=60)
    assert handle.stdout == "waiting\n"


def test_calls_of_calls(on_threads, names):
    add = on_threads.task(names["add"])
    inner = on_threads.task(lambda x: add.delay(x).get(timeout=60))
    assert inner.delay(1).get(timeout=60) == 11
    with ThreadPoolExecutor(1) as pool, App("alone", engine=pool) as app:
        alone = app.task(names["add"])
        with pytest.raises(WouldDeadlock, match="no other thread of the ThreadPoolExecutor"):
            app.task(lambda: alone.delay(1).get(timeout=60)).delay().get(timeout=60)


def test_a_process_of_a_pool_opens_no_app_of_its_own(on_processes, names):
    exec("def submits():\n    return nbtasks.task(add).delay(1).get(timeout=5)", names)
    with pytest.raises(ConfigError, match=r"no App is open here.*ProcessPoolExecutor of process"):
        on_processes.task(names["submits"]).delay().get(timeout=60)


def test_a_pool_that_has_lost_a_process_ends_its_calls(names):
    with processes(1) as pool, App("mortal", engine=pool) as app:
        add = app.task(names["add"])
        assert add.delay(1).get(timeout=60) == 11
        with pytest.raises(WorkerLostError, match=r"ProcessPoolExecutor is broken.*a new App"):
            app.task(names["die"]).delay().get(timeout=60)
        with pytest.raises(WorkerLostError, match="broken"):
            add.map(range(100)).get(timeout=60)


def test_an_executor_that_was_shut_down_ends_its_calls(names):
    pool = ThreadPoolExecutor(1)
    with App("shut", engine=pool) as app:
        pool.shutdown()
        with pytest.raises(WorkerLostError, match=r"shut down before it could be run.*a new App"):
            app.task(names["add"]).delay(1).get(timeout=60)


def test_a_closed_app_has_handed_its_calls_over(names, tmp_path, caplog):
    marks = [tmp_path / str(number) for number in range(20)]
    exec("def mark(path):\n    pathlib.Path(path).touch()", names)
    with ThreadPoolExecutor(1) as pool, App("closed", engine=pool) as app:
        group = app.task(names["mark"]).map(map(str, marks), chunk=1)
        app.task(names["mark"]).apply_async((str(tmp_path / "later"),), countdown=600)
        with caplog.at_level(logging.WARNING, "nbtasks"):
            app.close()
    assert all(map(Path.exists, marks))
    assert "1 calls that were to begin later are not run" in caplog.text
    if not group.ready():
        with pytest.raises(ConfigError, match="is closed"):
            group.get(timeout=1)


class AtOnce:
    """An executor by its interface only: it runs what it is given before it returns."""

    def submit(self, function, *args):
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        future.set_result(function(*args))
        return future


def test_anything_with_submit_and_futures_will_do(names):
    with App("at once", engine=AtOnce()) as app:  # type: ignore[arg-type]
        assert app.task(names["add"]).map(range(1000)).get(timeout=60) == list(range(10, 1010))
        assert threading.current_thread() is threading.main_thread()


def test_pickles_that_an_executor_cannot_carry_end_their_calls(names):
    class Refusing(AtOnce):
        def submit(self, function, *args):
            raise TypeError("cannot carry that")

    why = "Refusing has not run it: TypeError: cannot carry that"
    with App("no", engine=Refusing()) as app, pytest.raises(WorkerLostError, match=why):  # type: ignore[arg-type]
        app.task(names["add"]).delay(1).get(timeout=60)
