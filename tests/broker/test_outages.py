"""The server goes away, comes back, or comes back empty, in the middle of a run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nbtasks import App, BrokerUnavailable

SOON = 60.0


def note(path, text):
    """Task code: write into a ledger."""
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    return text


def held(ledger, gate, x):
    """Task code: say that it runs, then wait."""
    note(ledger, x)
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return x


def submit_many(task):
    """Submit until it is refused."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        task.delay(3)
        time.sleep(0.01)


@pytest.fixture
def durable(server):
    """A server that keeps its data over a crash."""
    return server("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def working(durable):
    """An App with two workers on that server."""
    with App(broker=durable.url) as app:
        app.start_workers(2)
        yield app


def test_a_server_that_restarts_in_mid_run_loses_nothing(durable, working, ledger, gate, eventually):
    group = working.task(held).starmap([(ledger.path, gate.path, x) for x in range(20)], chunk=5)
    eventually(lambda: len(ledger.lines()) == 2, "both workers run a call")
    durable.stop()
    gate.open()
    durable.start()
    assert group.get(timeout=SOON) == list(range(20))
    assert sorted(map(int, ledger.lines())) == list(range(20))


def test_results_of_calls_that_ended_while_the_server_was_away_are_kept(
    durable, working, ledger, gate, eventually
):
    handle = working.task(held).delay(ledger.path, gate.path, 7)
    eventually(ledger.lines, "the call runs")
    durable.stop()
    gate.open()
    eventually(lambda: "cannot be reached" in working.local_workers.log_tail(50), "the worker has noticed")
    durable.start()
    assert handle.get(timeout=SOON) == 7
    assert ledger.lines() == ["7"]


def test_a_worker_says_once_that_the_server_is_away_and_once_that_it_is_back(durable, eventually):
    with App(broker=durable.url) as app:
        app.start_workers(2, lease=2.0)
        assert app.task(abs).delay(-1).get(timeout=SOON) == 1
        durable.stop()
        eventually(lambda: "cannot be reached" in app.local_workers.log_tail(50), "the worker has noticed")
        since = time.monotonic()
        eventually(lambda: time.monotonic() > since + 3, "it has tried again a few times")
        durable.start()
        eventually(lambda: "answers again" in app.local_workers.log_tail(50), "it says that it is back")
        assert app.task(abs).delay(-1).get(timeout=SOON) == 1
        lines = app.local_workers.log_tail(50).splitlines()
        assert len(lines) == 2, lines


def test_a_worker_on_a_fresh_server_has_nothing_to_complain_of(durable):
    with App(broker=durable.url) as app:
        app.start_workers(1)
        assert [app.task(abs).delay(-1).get(timeout=SOON) for _ in range(20)] == [1] * 20
        assert app.local_workers.log_tail(50) == ""


def test_why_it_waits_while_the_server_is_away(durable, working, ledger, gate, eventually):
    handle = working.task(held).delay(ledger.path, gate.path, 7)
    eventually(ledger.lines)
    durable.stop()
    assert "cannot be reached" in handle.why_pending()
    gate.open()
    durable.start()
    assert handle.get(timeout=SOON) == 7


def test_a_server_that_was_emptied_gets_the_unfinished_calls_again(app, ledger, gate, eventually):
    import redis

    group = app.task(held).starmap([(ledger.path, gate.path, x) for x in range(6)], chunk=1)
    eventually(lambda: len(ledger.lines()) == 2, "both workers run a call")
    with redis.Redis.from_url(app.connection.url, single_connection_client=True) as client:
        client.flushall()
    gate.open()
    # The next submit finds out, and brings everything that has not ended.
    assert app.task(len).delay("ab").get(timeout=SOON) == 2
    assert group.get(timeout=SOON) == list(range(6))


def test_large_arguments_are_sent_again_too(app, gate, ledger, eventually):
    import redis

    def size(data, ledger, gate):
        held(ledger, gate, 1)
        return len(data)

    group = app.task(size).starmap([(b"x" * 300_000, ledger.path, gate.path)] * 4, chunk=1)
    eventually(lambda: len(ledger.lines()) == 2)
    with redis.Redis.from_url(app.connection.url, single_connection_client=True) as client:
        client.flushall()
    gate.open()
    assert app.task(len).delay("ab").get(timeout=SOON) == 2
    assert group.get(timeout=SOON) == [300_000] * 4


def test_a_submit_while_the_server_is_away_fails_and_works_again_later(durable, working, eventually):
    double = working.task(lambda x: 2 * x)
    assert double.delay(1).get(timeout=SOON) == 2
    durable.stop()
    lost = double.delay(2)
    # What was handed over before the loss was noticed is sent when the server is back.
    with pytest.raises(BrokerUnavailable, match="cannot be reached"):
        submit_many(double)
    durable.start()
    assert lost.get(timeout=SOON) == 4
    assert double.delay(5).get(timeout=SOON) == 10
    assert double.map(range(100)).get(timeout=SOON) == list(range(0, 200, 2))


def test_a_server_that_comes_back_empty_gets_the_unfinished_calls_again(server, ledger, gate, eventually):
    forgetful = server()
    with App(broker=forgetful.url) as app:
        app.start_workers(2)
        before = app.task(note).starmap([(ledger.path, f"before-{x}") for x in range(5)])
        before.get(timeout=SOON)
        group = app.task(held).starmap([(ledger.path, gate.path, x) for x in range(10)], chunk=1)
        eventually(lambda: len(ledger.lines()) == 7, "both workers run a call")
        forgetful.stop()
        forgetful.start()
        gate.open()
        assert group.get(timeout=SOON) == list(range(10))
        assert before.get(timeout=SOON) == [f"before-{x}" for x in range(5)]
        assert {line for line in ledger.lines() if line.startswith("before")} == {
            f"before-{x}" for x in range(5)
        }
        assert len([line for line in ledger.lines() if line.startswith("before")]) == 5


def test_a_lost_connection_while_a_function_is_fetched_fails_no_call(
    durable, working, ledger, gate, eventually
):
    """The worker's idle connections are cut; the next call needs a function that it does not know yet."""
    assert working.task(len).delay("a").get(timeout=SOON) == 1
    for number in range(6):
        client = durable.client()
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        client.close()

        def fresh(x, number=number):
            return x + number

        assert working.task(fresh).map(range(4), chunk=1).get(timeout=SOON) == [x + number for x in range(4)]


def test_a_lost_connection_while_a_large_argument_is_fetched_fails_no_call(durable, working):
    size = working.task(len)
    assert size.delay("a").get(timeout=SOON) == 1
    for _ in range(6):
        client = durable.client()
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        client.close()
        assert size.map([b"x" * 200_000] * 4, chunk=1).get(timeout=SOON) == [200_000] * 4
