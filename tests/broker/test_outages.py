"""The server goes away, comes back, or comes back empty, in the middle of a run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nbtasks import App

SOON = 40.0


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
