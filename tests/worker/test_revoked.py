"""A call that was revoked while it ran may end by itself. It is not started again, whatever happens to its worker."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import redis

from nbtasks import App, TaskRevokedError
from nbtasks.core.orders import Order, StopCalls

SOON = 60.0
LONG = pytest.mark.long

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


def held(ledger, gate, fails=False):
    """Task code: say which process runs it, then wait at a gate."""
    with Path(ledger).open("a") as file:
        file.write(f"{os.getpid()}\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    if fails:
        raise OSError("for now")
    return "went on"


@pytest.fixture(scope="module")
def mortal_app(run_folder):
    """An App with two workers for the whole module, of which single children are killed."""
    with App("test", namespace="t-revoked") as app:
        app.start_workers(2)
        yield app


@pytest.fixture(scope="module")
def clients(run_folder, request):
    """Two Apps of one server; the first one has a worker with one child, of the pool that is asked for."""
    with App("test", namespace=f"t-revoked-{request.param}") as app, App(connection=app.connection) as other:
        app.start_workers(1, pool=request.param)
        yield app, other


@pytest.fixture
def running(ledger, gate, eventually):
    """``running(app)`` returns a call that runs, as the client knows, and its process."""

    def start(app, **options):
        handle = app.task(held, **options).delay(ledger.path, gate.path, bool(options))
        eventually(lambda: handle.state == "STARTED", "it runs")
        return handle, int(ledger.lines()[-1])

    return start


def check_revoked(handle, ledger, executions=1):
    with pytest.raises(TaskRevokedError):
        handle.get(timeout=SOON)
    assert handle.state == "REVOKED"
    assert len(ledger.lines()) == executions


def test_it_may_end_by_itself(mortal_app, running, gate):
    handle, _ = running(mortal_app)
    handle.revoke()
    gate.open()
    assert handle.get(timeout=SOON) == "went on"


def test_its_child_dies(mortal_app, running, ledger):
    handle, pid = running(mortal_app)
    handle.revoke()
    os.kill(pid, signal.SIGKILL)
    check_revoked(handle, ledger)
    assert mortal_app.task(len).delay("ab").get(timeout=SOON) == 2


def test_its_machine_dies(idle_app, running, ledger, eventually):
    with App(connection=idle_app.connection) as other:
        idle_app.start_workers(1, lease=1.0)
        handle, _ = running(idle_app)
        other.start_workers(1, lease=1.0)
        (worker,) = [one for one in idle_app.workers() if one.pid == idle_app.local_workers.pid]
        handle.revoke()
        os.kill(worker.pid, signal.SIGKILL)
        check_revoked(handle, ledger)


def test_its_client_is_gone(mortal_app, running, ledger):
    with App(connection=mortal_app.connection) as gone:
        handle, pid = running(gone)
        handle.revoke()
        name = handle.id
    os.kill(pid, signal.SIGKILL)
    check_revoked(mortal_app.AsyncResult(name), ledger)


def test_a_whole_map_of_which_some_run(mortal_app, ledger, gate, eventually):
    group = mortal_app.task(held).starmap([(ledger.path, gate.path)] * 6, chunk=3)
    eventually(lambda: len(group.batch.running) == 2, "two run")
    group.revoke(terminate=False)
    for pid in ledger.lines():
        os.kill(int(pid), signal.SIGKILL)
    assert group.until_ready(SOON)
    assert {one.state for one in group} == {"REVOKED"}
    assert len(ledger.lines()) == 2


def test_no_more_calls_of_a_map_with_a_window_are_sent(mortal_app, ledger, gate, eventually):
    group = mortal_app.task(held).starmap([(ledger.path, gate.path)] * 20, max_parallel=2)
    eventually(lambda: len(group.batch.running) == 2, "two run")
    group.revoke(terminate=False)
    gate.open()
    assert group.until_ready(SOON)
    assert len(ledger.lines()) == len(group) == 2


@pytest.mark.parametrize("delay", [pytest.param(0.01, marks=LONG), 60])
def test_it_is_not_retried(mortal_app, running, ledger, gate, delay):
    handle, _ = running(mortal_app, retries=3, default_retry_delay=delay)
    handle.revoke()
    gate.open()
    check_revoked(handle, ledger)


def signed(session, what):
    """An order as a client records it with its batch."""
    return session.codec.seal_order(Order(what, "somebody", 1, session.clock.now()))


def test_a_retry_that_nobody_knew_of_is_not_started(mortal_app, running, ledger, gate, eventually):
    """The worker had queued it before it heard of the order, and the client is gone."""
    with App(connection=mortal_app.connection) as gone:
        handle, _ = running(gone, retries=3, default_retry_delay=2)
        name = handle.id
        frame = signed(gone.session, StopCalls(handle.batch.id, 0))
        gate.open()
        eventually(lambda: handle.state == "RETRY", "it waits for its next attempt")
    with redis.Redis.from_url(mortal_app.connection.url) as raw:
        key = mortal_app.session.line.keys.batch(name)
        raw.hset(key, mapping={"x": "1", "v0": frame})
    check_revoked(mortal_app.AsyncResult(name), ledger)


@pytest.mark.parametrize("ending", ["by itself", pytest.param("its child dies", marks=LONG)])
def test_the_server_loses_everything_meanwhile(app, running, ledger, gate, eventually, ending):
    """Whether its worker shows that it runs before the order is given anew is a matter of moments."""
    handle, pid = running(app)
    handle.revoke()
    with redis.Redis.from_url(app.connection.url) as raw:
        raw.flushall()
        key = app.session.line.keys.batch(handle.batch.id)
        eventually(lambda: raw.hexists(key, "s"), "its client has told the server of it again")
    if ending == "by itself":
        gate.open()
        assert handle.until_ready(SOON)
        assert handle.state in ("SUCCESS", "REVOKED")
        assert len(ledger.lines()) == 1
    else:
        os.kill(pid, signal.SIGKILL)
        check_revoked(handle, ledger)


@pytest.mark.parametrize(
    "forged", [pytest.param("garbage", marks=LONG), pytest.param("another batch", marks=LONG), "another call"]
)
def test_only_a_signed_order_counts(mortal_app, running, ledger, gate, forged):
    handle, pid = running(mortal_app)
    session = mortal_app.session
    frames = {
        "garbage": b"no order",
        "another batch": signed(session, StopCalls("abcd", 0)),
        "another call": signed(session, StopCalls(handle.batch.id, 7)),
    }
    with redis.Redis.from_url(mortal_app.connection.url) as raw:
        raw.hset(
            mortal_app.session.line.keys.batch(handle.batch.id), mapping={"x": "1", "v0": frames[forged]}
        )
    os.kill(pid, signal.SIGKILL)
    gate.open()
    assert handle.get(timeout=SOON) == "went on"
    assert len(ledger.lines()) == 2


def say(ledger, index):
    """Task code: say that a call runs."""
    with Path(ledger).open("a") as file:
        file.write(f"{index}\n")


def brief(ledger, gate, index):
    """Task code: say that it runs, wait a moment that nobody is told of, and answer."""
    say(ledger, index)
    time.sleep(0.03)
    return index


async def brief_coroutine(ledger, gate, index):
    """Task code: the same in an event loop."""
    import asyncio

    say(ledger, index)
    await asyncio.sleep(0.03)
    return index


KINDS = [("prefork", brief), ("prefork", brief_coroutine), pytest.param("threads", brief, marks=LONG)]


@pytest.mark.parametrize("by", ["its client", "another client"])
@pytest.mark.parametrize(("clients", "code"), KINDS, indirect=["clients"], scope="module")
def test_what_has_just_been_started_goes_on_and_its_result_counts(
    clients, ledger, gate, eventually, code, by
):
    """Its client has not heard that it runs: the worker decides."""
    app, other = clients
    task = app.task(code)
    for index in range(4):
        handle = task.delay(ledger.path, gate.path, index)
        eventually(lambda index=index: str(index) in ledger.lines(), "it runs")
        (handle if by == "its client" else other.AsyncResult(handle.id)).revoke()
        assert handle.get(timeout=SOON) == index


@pytest.mark.parametrize("clients", ["prefork"], indirect=True)
def test_what_a_worker_has_in_hand_and_has_not_started_is_revoked(clients, ledger, gate, eventually):
    group = clients[0].task(held).starmap([(ledger.path, gate.path)] * 5, chunk=5)
    eventually(ledger.lines, "the first one runs")
    group.revoke(terminate=False)
    eventually(lambda: [one.state for one in group[1:]] == ["REVOKED"] * 4, "the others are revoked")
    gate.open()
    assert group[0].get(timeout=SOON) == "went on"
    assert len(ledger.lines()) == 1


def test_every_call_of_a_map_runs_to_its_end_or_never(mortal_app, ledger, gate, eventually):
    group = mortal_app.task(brief).starmap([(ledger.path, gate.path, index) for index in range(200)])
    eventually(lambda: len(ledger.lines()) > 5, "some have run")
    group.revoke(terminate=False)
    group.get(timeout=SOON, propagate=False)
    ran = {int(line) for line in ledger.lines()}
    assert {index for index, one in enumerate(group) if one.state == "SUCCESS"} == ran
    assert len(ledger.lines()) == len(ran)
