"""The network between both ends and the server is cut, falls silent, is slow, resets connections, loses replies."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from nbtasks import BrokerUnavailable
from nbtasks.broker.redis.channel import Channel
from nbtasks.broker.redis.link import Link
from nbtasks.broker.redis.scripts import SCRIPTS

from .sites import DURABLE, MOST_TRIES, RESUME_S, SOON, Site

N = 600
LONG_S = (0.3,) * 8


def run_through(
    site: Site,
    matrix,
    faults,
    row: str,
    harm: Callable[[], None],
    *,
    n: int = N,
    promised_s: float = RESUME_S,
    within: float = 100.0,
) -> None:
    """Submit a load, do harm when a part of it has ended, and measure how long the next call takes afterwards."""
    load = matrix.submit(site.app, n, long_s=LONG_S, within=within)
    load.wait_for(0.1)
    note = faults.note(row)
    harm()
    took = site.seconds_to_resume()
    load.wait()
    # What ran when it began may run again until all are back.
    note.until = time.monotonic()
    # It is the calls that went through this, not those who look at them now.
    site.proxy.delay_s = site.proxy.reset_rate = 0.0
    matrix.close(site.app, row, server=site.name, url=site.server.url, recovery_s=took, promised_s=promised_s)


@pytest.mark.long
def test_the_connection_is_cut(site, matrix, faults):
    here = site("bundled", *DURABLE)

    def cut():
        here.proxy.cut()
        began = time.monotonic()
        time.sleep(2.0)
        assert here.busiest(began) < MOST_TRIES
        here.proxy.heal()

    run_through(here, matrix, faults, "connections cut for 2 s", cut)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.timeout(400))])
def test_the_network_falls_silent(site, matrix, faults, seconds):
    here = site("bundled", *DURABLE)

    def fall_silent():
        here.proxy.go_silent()
        began = time.monotonic()
        time.sleep(seconds)
        assert here.busiest(began) < MOST_TRIES
        here.proxy.heal()

    run_through(here, matrix, faults, f"network silent for {seconds} s (half-open)", fall_silent)


def test_what_one_connection_has_found_silent_no_other_waits_for_again(site):
    here = site("bundled")
    one, other = Link(here.proxy.url, "the proxy"), Link(here.proxy.url, "the proxy")
    assert one.call("PING") == other.call("PING") == b"PONG"
    here.proxy.go_silent()
    with pytest.raises(BrokerUnavailable):
        one.call("PING")
    here.proxy.heal()
    # Its connection is as silent as before.
    assert other.call("PING") == b"PONG"
    one.close()
    other.close()


def test_who_waits_eagerly_waits_no_longer(site, monkeypatch):
    here = site("bundled")
    link, reads = Link(here.proxy.url, "the proxy"), []
    assert link.pipeline([("PING",)], eager=True) == [b"PONG"]
    here.proxy.go_silent()
    monkeypatch.setattr(Channel, "read", lambda _: reads.append(1))
    with pytest.raises(BrokerUnavailable, match="Timeout"):
        link.pipeline([("PING",)], timeout_s=0.1, eager=True)
    # The time was over: it was not waited for once more.
    assert reads == []
    link.close()


@pytest.mark.long
@pytest.mark.parametrize("n", [60])
def test_the_network_is_slow(site, matrix, faults, n):
    here = site("bundled", *DURABLE)

    def slow_down():
        here.proxy.delay_s = 0.1

    run_through(here, matrix, faults, "200 ms latency", slow_down, n=n, promised_s=None)


@pytest.mark.parametrize("n", [300, pytest.param(3000, marks=[pytest.mark.long, pytest.mark.timeout(400)])])
def test_connections_are_reset(site, matrix, faults, n):
    here = site("bundled", *DURABLE)

    def begin():
        here.proxy.reset_rate = 0.01

    run_through(here, matrix, faults, "1 % of packets reset the connection", begin, n=n)


#: What each command is known by on the wire.
COMMANDS = {
    **{
        name: SCRIPTS[name].sha.encode()
        for name in ("submit", "take", "finish", "give", "renew", "promote", "revoke")
    },
    "XREADGROUP": rb"XREADGROUP",
    "XREAD for events": rb"(?s)XREAD\r\n.*:e:",
    "XREAD for orders": rb"(?s)XREAD\r\n.*:ctl",
    "GET": rb"\r\nGET\r\n",
}


def test_the_reply_to_each_command_is_lost_once(site, matrix, faults, eventually, gate):
    """Long calls with short ones behind them in their chunk have calls given away; two more are revoked, delayed."""
    here = site("bundled", *DURABLE)

    def wait_for(path):
        import pathlib
        import time

        while not pathlib.Path(path).exists():
            time.sleep(0.01)

    load = matrix.submit(here.app, N, long_s=LONG_S, chunk=20)
    load.wait_for(0.05)
    note = faults.note("replies lost")
    losses = {name: here.proxy.lose_reply(pattern) for name, pattern in COMMANDS.items()}
    delayed = here.app.task(len).apply_async(("ab",), countdown=0.2)
    held = here.app.task(wait_for).delay(gate.path)
    eventually(lambda: held.state == "STARTED", "a call waits", within=SOON)
    held.revoke(terminate=True)
    assert delayed.get(timeout=SOON) == 2
    load.wait()
    eventually(
        lambda: all(loss.happened.is_set() for loss in losses.values()),
        f"lost: {[name for name, loss in losses.items() if not loss.happened.is_set()]}",
        within=SOON,
    )
    note.until = time.monotonic()
    assert held.state == "REVOKED"
    matrix.close(here.app, "the reply lost once for each command", server=here.name, url=here.server.url)
