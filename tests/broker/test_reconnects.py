"""Connections come and go for as long as a process lives: the hundredth loss is like the first."""

from __future__ import annotations

import time

import pytest

from nbtasks import App, BrokerUnavailable
from nbtasks.broker.redis.link import Link

SOON = 60.0
CUTS = 130


@pytest.fixture
def busy_again(server):
    """A server that keeps its data, and what cuts all of its connections."""
    one = server("--appendonly", "yes", "--appendfsync", "no")

    def cut() -> None:
        client = one.client()
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        client.close()

    one.cut = cut
    return one


@pytest.mark.long
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_both_ends_go_on_after_more_cuts_than_a_library_counts(busy_again, pool):
    with App(broker=busy_again.url) as app:
        app.start_workers(1, pool=pool)
        add = app.task(abs)
        for number in range(CUTS):
            busy_again.cut()
            assert add.delay(-number).get(timeout=SOON) == number
        with App(broker=busy_again.url) as another:
            assert another.task(abs).delay(-1).get(timeout=SOON) == 1
            assert [one.name for one in another.workers()] == [one.name for one in app.workers()]


def test_a_connection_is_made_after_more_tries_than_a_library_counts(busy_again):
    link = Link(busy_again.url, "the server")
    assert link.call("PING") == b"PONG"
    busy_again.stop()
    for _ in range(10 * CUTS):
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            link.call("PING")
    busy_again.start()
    assert link.call("PING") == b"PONG"
    link.close()


def test_a_server_that_ends_idle_connections_is_no_trouble(server, eventually):
    """As firewalls, balancers and managed servers do. Both ends are left alone for longer than it takes."""
    hasty = server("--timeout", "1", "--hz", "50")
    with App(broker=hasty.url) as app:
        app.start_workers(1)
        for number in range(2):
            assert app.task(abs).delay(-number).get(timeout=SOON) == number
            since = time.monotonic()
            eventually(lambda since=since: time.monotonic() > since + 1.5, "both ends were idle")
