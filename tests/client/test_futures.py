"""``app.executor()``: what code for concurrent.futures expects of an executor holds on workers."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import functools
import gc
import operator
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from nbtasks import App, ConfigError, NotPicklable, TaskRevokedError, WorkerLostError

SOON = 60.0


def square(x):
    return x * x


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.01)
    return "through"


class Scale:
    """Can be called, and has a method."""

    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return self.by * x

    def plus(self, x):
        return self.by + x


@pytest.fixture
def executor(shared_app):
    with shared_app.executor() as made:
        yield made


def test_it_says_how_many_calls_run_at_once_as_those_of_the_standard_library_do(shared_app):
    with shared_app.executor() as executor, shared_app.executor(3) as three:
        slots = sum(worker.slots_total for worker in shared_app.workers())
        assert (executor._max_workers, three._max_workers) == (slots, 3)


def test_whatever_can_be_called_is_run(executor):
    calls = [
        (square, (3,), 9),
        (lambda x: x + 1, (3,), 4),
        (divmod, (7, 2), (3, 1)),
        (functools.partial(pow, 2), (5,), 32),
        (Scale(3), (4,), 12),
        (Scale(3).plus, (4,), 7),
        (operator.itemgetter(1), ("ab",), "b"),
        (str, (5,), "5"),
    ]
    futures = [executor.submit(fn, *args) for fn, args, _ in calls]
    assert [future.result(SOON) for future in futures] == [expected for _, _, expected in calls]
    assert executor.submit(int, "z", base=36).result(SOON) == 35


def test_options_are_those_of_tasks(shared_app, tmp_path):
    def fails_once(path):
        if not Path(path).exists():
            Path(path).touch()
            raise OSError("once")
        return "again"

    with shared_app.executor(retries=2, default_retry_delay=0.01) as made:
        assert made.submit(fails_once, tmp_path / "tried").result(SOON) == "again"
    with pytest.raises(ConfigError, match="quue"):
        shared_app.executor(quue="fast")


def test_many_submits_share_batches(shared_app):
    before = len(shared_app.batches(quiet=True))
    with shared_app.executor() as made:
        futures = [made.submit(square, n) for n in range(3000)]
        assert len(shared_app.batches(quiet=True)) - before < 300
        assert [future.result(SOON) for future in futures] == [n * n for n in range(3000)]


def test_errors_are_the_futures(executor):
    assert isinstance(executor.submit(divmod, 1, 0).exception(SOON), ZeroDivisionError)
    # What a process pool says of a future, too: not at submit().
    assert "missing" in str(executor.submit(square).exception(SOON))
    unsendable = executor.submit(square, threading.Lock()).exception(SOON)
    assert isinstance(unsendable, NotPicklable)
    assert isinstance(unsendable, pickle.PicklingError)
    with pytest.raises(TypeError, match="'nothing' is not callable"):
        executor.submit("nothing")


def test_a_lost_worker_breaks_one_future_as_a_process_pool_says(shared_app):
    with shared_app.executor(acks_late=False) as made:
        lost = made.submit(os._exit, 3).exception(SOON)
        assert isinstance(lost, WorkerLostError)
        assert isinstance(lost, cf.BrokenExecutor)
        assert made.submit(square, 2).result(SOON) == 4


def test_what_runs_is_not_cancelled_and_what_waits_is(executor, gate, eventually):
    running = [executor.submit(wait_for, gate.path) for _ in range(2)]
    eventually(lambda: all(future.running() for future in running), "both run")
    waiting = [executor.submit(wait_for, gate.path) for _ in range(4)]
    told = []
    for future in waiting:
        future.add_done_callback(told.append)
    assert not running[0].cancel()
    assert [future.cancel() for future in waiting] == [True] * 4
    assert told == waiting
    done, rest = cf.wait([*running, *waiting], timeout=0)
    assert (done, rest) == (set(waiting), set(running))
    with pytest.raises(cf.CancelledError):
        waiting[0].result(0)
    gate.open()
    assert [future.result(SOON) for future in cf.as_completed(running, SOON)] == ["through"] * 2


def test_a_call_that_others_revoke_is_cancelled_or_says_so(executor, shared_app, gate, eventually):
    running = [executor.submit(wait_for, gate.path) for _ in range(2)]
    eventually(lambda: all(future.running() for future in running), "both run")
    waiting = executor.submit(wait_for, gate.path)
    for future in (waiting, running[0]):
        shared_app.AsyncResult(future.task_id).revoke(terminate=True)
    with pytest.raises(cf.CancelledError):
        waiting.result(SOON)
    assert waiting.cancelled()
    assert isinstance(running[0].exception(SOON), TaskRevokedError)


def test_no_more_than_max_workers_run_at_once(shared_app, gate, eventually):
    with shared_app.executor(1) as made:
        first, second, third = (made.submit(wait_for, gate.path) for _ in range(3))
        eventually(first.running, "the first runs")
        assert third.cancel()
        assert second.task_id is None
        gate.open()
        assert (first.result(SOON), second.result(SOON)) == ("through", "through")
        assert list(made.map(square, range(5))) == [0, 1, 4, 9, 16]
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="greater than 0"):
            shared_app.executor(wrong)


def test_map_keeps_the_order_and_raises_where_the_error_is(executor):
    assert list(executor.map(pow, [2, 3, 4], [5, 2, 0])) == [32, 9, 1]
    assert list(executor.map(Scale(2), range(40), chunksize=7)) == [2 * n for n in range(40)]
    assert list(executor.map(square, [])) == []
    results = executor.map(divmod, [1, 1, 1], [2, 0, 1])
    assert next(results) == (0, 1)
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(ValueError, match="chunksize"):
        executor.map(square, [1], chunksize=0)


@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_map_reads_no_further_than_its_buffer(executor, ahead):
    read = []

    def items():
        for n in range(20):
            read.append(n)
            yield n

    results = executor.map(square, items(), buffersize=ahead)
    assert len(read) == min(ahead, 20)
    assert next(results) == 0
    assert len(read) <= min(ahead + 1, 20)
    assert list(results) == [n * n for n in range(1, 20)]
    for wrong, error in ((0, ValueError), ("1", TypeError)):
        with pytest.raises(error, match="buffersize"):
            executor.map(square, [1], buffersize=wrong)


@pytest.mark.parametrize("buffersize", [None, 4])
def test_a_map_that_takes_too_long_says_so_and_drops_the_rest(executor, gate, buffersize, eventually):
    results = executor.map(wait_for, [gate.path] * 6, timeout=0.2, buffersize=buffersize)
    with pytest.raises(cf.TimeoutError):
        next(results)
    del results
    gate.open()
    # At most two have begun; the others take no slot of the next call.
    assert executor.submit(square, 3).result(SOON) == 9


def test_an_event_loop_can_wait_for_it(executor):
    async def both():
        return await asyncio.gather(*(asyncio.wrap_future(executor.submit(square, n)) for n in range(5)))

    assert asyncio.run(both()) == [0, 1, 4, 9, 16]


def test_after_shutdown_nothing_is_taken(shared_app, gate, eventually):
    made = shared_app.executor()
    running = [made.submit(wait_for, gate.path) for _ in range(2)]
    eventually(lambda: all(future.running() for future in running), "both run")
    waiting = [made.submit(wait_for, gate.path) for _ in range(3)]
    made.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        made.submit(square, 1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        made.map(square, [1])
    cf.wait(waiting, SOON)
    assert all(future.cancelled() for future in waiting)
    gate.open()
    assert [future.result(SOON) for future in running] == ["through"] * 2
    made.shutdown()


def test_others_calls_of_the_same_function_are_not_revoked(shared_app, gate, eventually):
    task = shared_app.task(wait_for)
    with shared_app.executor() as made:
        running = [made.submit(wait_for, gate.path) for _ in range(2)]
        eventually(lambda: all(future.running() for future in running), "both run")
        own, theirs = made.submit(wait_for, gate.path), task.delay(gate.path)
        made.shutdown(wait=False, cancel_futures=True)
        cf.wait([own], SOON)
        assert own.cancelled()
        gate.open()
        assert theirs.get(timeout=SOON) == "through"


def test_an_argument_lives_no_longer_than_its_call(executor, eventually):
    scale = Scale(2)
    gone = weakref.ref(scale)
    future = executor.submit(scale.plus, 1)
    del scale
    assert future.result(SOON) == 3

    def is_gone():
        gc.collect()
        return gone() is None

    eventually(is_gone, "the argument is let go")


def test_a_task_can_wait_for_futures_and_is_told_where_it_never_could(shared_app):
    def outer(n):
        with App.current().executor() as inner:
            return inner.submit(square, n).result(SOON)

    assert shared_app.task(outer).delay(4).get(timeout=SOON) == 16


def test_futures_of_a_closed_app_say_so():
    with App() as app:
        app.start_workers(1)
        made = app.executor()
        future = made.submit(time.sleep, 60)
    with pytest.raises(ConfigError, match="is closed"):
        future.result(SOON)
    with pytest.raises(ConfigError, match="is closed"):
        made.submit(square, 1)


def test_an_executor_of_an_executor(shared_app):
    with cf.ThreadPoolExecutor(2) as pool, App(engine=pool) as app, app.executor() as made:
        assert made.submit(square, 3).result(SOON) == 9
        assert list(made.map(square, range(3))) == [0, 1, 4]


AT_THE_END = """
import sys, time
from nbtasks import App

path = sys.argv[1]

def note(text, path=path):
    time.sleep(0.5)
    with open(path, "a") as file:
        file.write(text)

app = App()
app.start_workers(1)
first = app.executor()
first.submit(note, "a")
first.shutdown(wait=False)
second = app.executor()
second.submit(note, "b")
second.map(note, ["c", "d"])
# Held by nobody.
app.executor().map(note, ["e", "f"])
"""


def test_a_script_ends_when_its_calls_have(project, tmp_path):
    script = project / "script.py"
    script.write_text(AT_THE_END, encoding="utf-8")
    subprocess.run([sys.executable, script, tmp_path / "noted"], check=True, timeout=90)
    assert sorted((tmp_path / "noted").read_text()) == ["a", "b", "c", "d", "e", "f"]
