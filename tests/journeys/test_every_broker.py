"""What users do, over each broker, from end to end: an App, real workers, and processes that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from nbtasks import App, chord, group
from nbtasks.exceptions import TaskRevokedError
from tests.broker.contract.servers import ALWAYS, KINDS, place

KEY = "A" * 43
SOON = 120.0
#: The embedded server is what all other tests run on.
OTHERS = [name for name in KINDS if name != "valkey"]

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize(
        "where",
        [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.long) for name in OTHERS],
        indirect=True,
    ),
]


@pytest.fixture
def where(request, home, monkeypatch):
    """What an App needs to be on a broker of the run's, in a namespace of the test's own."""
    monkeypatch.setenv("NBTASKS_KEY", KEY)
    with KINDS[request.param](request) as url:
        found = place(url)
        urls = {"broker": found.carrier, "backend": found.url} if found.carrier else {"broker": found.url}
        yield {**urls, "namespace": found.namespace}


@pytest.fixture
def client(where):
    """An App without a worker."""
    with contextlib.closing(App("journeys", **where)) as app:
        yield app


@pytest.fixture
def app(client):
    """An App with a worker of two children."""
    client.start_workers(2)
    return client


def test_a_call_a_map_and_an_error(app):
    @app.task
    def half(n):
        return n // (n % 5)

    assert half.delay(6).get(timeout=SOON) == 6
    with pytest.raises(ZeroDivisionError):
        half.delay(5).get(timeout=SOON)
    assert app.task(abs).map(range(-3000, 0)).get(timeout=SOON) == list(range(3000, 0, -1))


@pytest.mark.long
def test_a_loop_of_calls(app):
    task = app.task(abs)
    assert [one.get(timeout=SOON) for one in [task.delay(-n) for n in range(300)]] == list(range(300))


@pytest.mark.long
def test_what_is_large_goes_there_and_back(app):
    found = app.task(lambda text: text * 2).delay("x" * 9_000_000).get(timeout=SOON)
    assert len(found) == 18_000_000


@pytest.mark.long
def test_a_call_that_is_due_later_comes_then(app):
    @app.task
    def moment():
        return time.time()

    began = time.time()
    assert moment.apply_async(countdown=0.5).get(timeout=SOON) - began > 0.45


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

    assert third_time.delay().get(timeout=SOON) == "done"


def test_revoked_calls_do_not_start(client):
    @client.task
    def never():
        return 1

    waiting, later = never.delay(), never.apply_async(countdown=3600)
    for result in (waiting, later):
        result.revoke()
        with pytest.raises(TaskRevokedError):
            result.get(timeout=SOON)


@pytest.mark.long
def test_a_running_call_is_stopped(app, tmp_path, eventually):
    @app.task
    def long():
        (tmp_path / "begun").touch()
        time.sleep(3600)

    result = long.delay()
    eventually((tmp_path / "begun").exists, "the call runs", within=SOON)
    result.revoke(terminate=True)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=SOON)


@pytest.mark.long
def test_what_is_more_urgent_comes_first(client, tmp_path):
    @client.task
    def note(name):
        with (tmp_path / "order").open("a") as file:
            file.write(f"{name}\n")

    waiting = [note.apply_async((priority,), priority=priority) for priority in (0, 5, 9)]
    client.start_workers(1)
    for one in waiting:
        one.get(timeout=SOON)
    assert (tmp_path / "order").read_text().split() == ["9", "5", "0"]


@pytest.mark.long
def test_several_queues_are_waited_for_at_once(client):
    client.start_workers(1, queues=["one", "two", "three"])
    task = client.task(abs)
    for n in range(4):
        for queue in ("one", "two", "three"):
            assert task.apply_async((-n,), queue=queue).get(timeout=SOON) == n


@pytest.mark.long
def test_a_rate_limit_holds(app):
    @app.task(rate_limit="20/s")
    def moment():
        return time.time()

    began = sorted(result.get(timeout=SOON) for result in [moment.delay() for _ in range(5)])
    assert began[-1] - began[0] > 0.1


@pytest.mark.long
def test_a_lock_keeps_calls_apart(app, tmp_path):
    @app.task(max_concurrency=1)
    def alone(n):
        (tmp_path / "inside").touch(exist_ok=False)
        time.sleep(0.01)
        (tmp_path / "inside").unlink()
        return n

    assert [one.get(timeout=SOON) for one in [alone.delay(n) for n in range(20)]] == list(range(20))


def test_another_client_finds_what_was_submitted(app, where):
    run = app.task(abs).map([-1, -2])
    run.get(timeout=SOON)
    with App("other", **where) as other:
        (found,) = other.attach(run.id)
        assert found.get(timeout=SOON) == [1, 2]


@pytest.mark.long
def test_what_happens_is_told(app):
    app.task(abs).map([-1, "x"]).get(timeout=SOON, propagate=False)
    with contextlib.closing(
        app.events(["task-succeeded", "task-failed"], since="start", timeout=SOON)
    ) as ends:
        assert {event.type for _, event in zip(range(2), ends, strict=False)} == {
            "task-succeeded",
            "task-failed",
        }


@pytest.mark.long
def test_a_periodic_task_runs(app, tmp_path, eventually):
    @app.task
    def tick():
        (tmp_path / str(time.time())).touch()

    ticking = app.add_periodic_task(1, tick.s(), name="ticking")
    eventually(lambda: len(list(tmp_path.iterdir())) > 2, "it has run three times", within=SOON)
    ticking.remove()


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
    assert (chains | total.s() | kills_once.s()).delay().get(timeout=SOON) == sum(range(20))
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
        run.get(timeout=SOON)
    errback = next(one for one in run.steps if one.name.endswith("told"))
    errback.get(timeout=SOON)
    assert (tmp_path / f"told-{run.id}").exists()
    (tmp_path / "missing").write_text("there")
    run.retry()
    assert run.get(timeout=SOON) == 2


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
    assert both.get(timeout=SOON) == [2, 4, [10, 12]]


def test_what_waits_for_a_revoked_call_ends_with_it(app):
    @app.task(queue="nobody")
    def never():
        return 1

    run = (never.si() | app.task(abs).s()).delay()
    run.parent.revoke()
    with pytest.raises(TaskRevokedError):
        run.get(timeout=SOON)


# -- deaths


def test_calls_of_a_child_that_is_killed_run_again(app, tmp_path):
    @app.task
    def once_killed(n):
        if n == 7:
            try:
                (tmp_path / "killed").touch(exist_ok=False)
            except FileExistsError:
                return n
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    assert once_killed.map(range(20)).get(timeout=SOON) == list(range(20))


@pytest.mark.long
def test_a_map_ends_though_its_workers_are_killed(client, eventually):
    @client.task
    def slow(n):
        time.sleep(0.01)
        return n

    run = slow.map(range(400))
    for enough in (60, 120, 180):
        client.start_workers(2)
        eventually(lambda enough=enough: run.completed_count() > enough, "some have ended", within=SOON)
        for worker in client.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
    client.start_workers(2)
    assert run.get(timeout=2 * SOON) == list(range(400))
