"""First steps, one idea each, through the public names only. Read from top to bottom."""

from __future__ import annotations

import asyncio
import os

import pytest

import nbtasks
from nbtasks import App, task

SOON = 60.0


@pytest.fixture(scope="module", autouse=True)
def app(run_folder):
    """What the first cell of a notebook does."""
    with App("first-steps", namespace="first-steps") as app:
        app.start_workers(2)
        yield app


def test_a_task_is_a_function():
    """``@task`` makes a function a task. Called plainly it still is the function."""

    @task
    def add(x, y):
        return x + y

    assert add(2, 3) == 5


def test_delay_runs_it_on_a_worker():
    """``delay`` submits a call and returns at once; ``get`` waits for the value."""

    @task
    def where():
        return os.getpid()

    assert where() == os.getpid()
    assert where.delay().get(timeout=SOON) != os.getpid()


def test_map_runs_one_call_for_each_item():
    """``map`` fans out; the values come back in the order of the items."""

    @task
    def square(x):
        return x * x

    assert square.map([1, 2, 3]).get(timeout=SOON) == [1, 4, 9]


def test_ten_thousand_calls_are_right_and_in_order():
    """A map may be large: calls travel in chunks and are kept in arrays."""
    assert task(lambda x: x).map(range(10_000)).get(timeout=60) == list(range(10_000))


def test_results_can_be_had_as_they_come():
    """``as_completed`` yields handles in the order in which their calls end."""

    @task
    def half(x):
        return x / 2

    found = {handle.index: handle.get() for handle in half.map([2, 4, 6]).as_completed(timeout=SOON)}
    assert found == {0: 1, 1: 2, 2: 3}


def test_what_a_task_needs_goes_with_it():
    """Variables, functions and classes of the notebook are taken along as they are when the call is submitted."""
    prices = {"tea": 3}

    class Order:
        def __init__(self, what, count):
            self.what, self.count = what, count

    def cost(order):
        return prices[order.what] * order.count

    @task
    def total(orders):
        return sum(cost(order) for order in orders)

    assert total.delay([Order("tea", 2), Order("tea", 1)]).get(timeout=SOON) == 9


def test_an_exception_comes_back_as_itself():
    """``get`` raises what the task raised, and the traceback is the worker's."""

    @task
    def divide(x, y):
        return x / y

    handle = divide.delay(1, 0)
    with pytest.raises(ZeroDivisionError):
        handle.get(timeout=SOON)
    assert handle.state == "FAILURE"
    assert "in divide" in handle.traceback


def test_a_wrong_call_is_noticed_where_it_is_made():
    """The arguments are checked against the signature before anything is sent."""

    @task
    def add(x, y):
        return x + y

    with pytest.raises(TypeError, match=r"add\(x, y\): missing a required argument: 'y'"):
        add.delay(1)


def test_a_flaky_task_is_tried_again():
    """``retries=3`` runs a call again that has raised; the attempts are counted."""

    @task(retries=3, default_retry_delay=0.01)
    def flaky():
        if nbtasks.current_call().retries < 2:
            raise ConnectionError("try again")
        return "made it"

    handle = flaky.delay()
    assert handle.get(timeout=SOON) == "made it"
    assert handle.retries == 2


def test_some_failures_need_not_spoil_the_rest():
    """With ``propagate=False`` exceptions stand in the places of the calls that failed."""

    @task
    def parse(text):
        return int(text)

    one, bad, three = parse.map(["1", "two", "3"]).get(timeout=SOON, propagate=False)
    assert (one, three) == (1, 3)
    assert isinstance(bad, ValueError)


def test_what_failed_can_be_tried_again(tmp_path):
    """``retry_failed`` submits only the calls that failed, and their results take their places."""
    fixed = tmp_path / "fixed"

    @task
    def load(x):
        if x == 2 and not fixed.exists():
            raise OSError("no such file")
        return x

    group = load.map([1, 2, 3])
    group.until_ready(SOON)
    fixed.touch()
    group.retry_failed()
    assert group.get(timeout=SOON) == [1, 2, 3]


def test_a_call_can_be_stopped():
    """``revoke(terminate=True)`` stops a call, whether it waits or runs."""
    import time

    handle = task(time.sleep).delay(60)
    handle.revoke(terminate=True)
    with pytest.raises(nbtasks.TaskRevokedError):
        handle.get(timeout=SOON)


def test_a_call_may_have_a_time_limit():
    """``time_limit`` takes seconds or a text such as "5m"."""
    import time

    with pytest.raises(nbtasks.TimeLimitExceeded):
        task(time.sleep, time_limit="200ms").delay(60).get(timeout=SOON)


def test_what_a_task_prints_is_kept():
    """Each call keeps its own output."""

    @task
    def greet(name):
        print("hello", name)

    group = greet.map(["Ada", "Grace"])
    group.get(timeout=SOON)
    assert [handle.stdout for handle in group] == ["hello Ada\n", "hello Grace\n"]


def test_a_task_tells_how_far_it_is():
    """``track`` reports progress while a call runs, and is an ordinary loop elsewhere."""

    @task
    def total(items):
        return sum(nbtasks.track(items))

    assert total([1, 2]) == 3
    assert total.delay([1, 2]).get(timeout=SOON) == 3


def test_coroutines_are_tasks_too():
    """``async def`` tasks share an event loop in each worker, and a handle can be awaited."""

    @task
    async def fetch(x):
        await asyncio.sleep(0.01)
        return x

    async def main():
        return await fetch.map(range(50))

    assert asyncio.run(main()) == list(range(50))


def test_a_task_may_submit_tasks():
    """Inside a worker ``map`` and ``delay`` go to the same broker."""

    @task
    def word_count(line):
        return len(line.split())

    @task
    def count(lines):
        return sum(word_count.map(lines).get(timeout=SOON))

    assert count.delay(["a b", "c d e"]).get(timeout=SOON) == 5


def test_a_handle_can_be_found_again_by_its_id(app):
    """An id is all that is needed, also in another notebook or after a restart."""
    handle = task(len).delay("abc")
    assert app.AsyncResult(handle.id).get(timeout=SOON) == 3


def test_priorities_and_queues_are_options_of_a_call():
    """Options are set on the task, or on one call."""
    urgent = task(len, priority="high")
    assert urgent.delay("ab").get(timeout=SOON) == 2
    assert urgent.apply_async(("ab",), priority="low").get(timeout=SOON) == 2
    handle = urgent.apply_async(("ab",), queue="gpu")
    assert "no worker listens on queue 'gpu'" in handle.why_pending()
    handle.revoke()


def test_apply_tries_a_task_here():
    """``apply`` runs a call in this process, by the way a worker does it: good for debugging."""

    @task
    def add(x, y):
        return x + y

    assert add.apply((2, 3)).get() == 5
