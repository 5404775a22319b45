"""The master dies, hands over, or stands still, and sentinels make a replica the master."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from nbtasks import App
from tests.servers.cache import Missing
from tests.servers.sentinels import MASTER, WatchedPair, watched

from . import servers
from .sites import DURABLE, RESUME_S, SOON, seconds_to_resume

N = 600
LONG_S = (0.3,) * 8
#: The bundled server always; the others where there is time.
everywhere = pytest.mark.parametrize("flavour", ["bundled", "redis-7", "redis-6.2"])


@pytest.fixture
def pair(home, machine, flavour) -> Iterator[tuple[WatchedPair, App]]:
    """A master, two replicas and three sentinels, a client and a worker with two children."""
    try:
        found = servers.find(flavour)
    except Missing as reason:
        pytest.skip(str(reason))
    with watched(found, 2, 3, *DURABLE) as made, App("watched", broker=made.url) as app:
        worker = machine(app, concurrency=2)
        try:
            yield made, app
        finally:
            worker.end()


def run_through(
    pair: WatchedPair, app: App, matrix, faults, row: str, harm: Callable[[], None], flavour: str, eventually
) -> None:
    """Submit a load, do harm when a part of it has ended, and look at what became of it.

    Args:
        harm: is over when the sentinels have agreed, and the old master knows.
    """
    load = matrix.submit(app, N, long_s=LONG_S)
    load.wait_for(0.1)
    # What has ended in the last moment may be lost, and what was given out in it, too.
    notes = [faults.note(row) for _ in range(2)]
    harm()
    took = seconds_to_resume(app)
    load.wait()
    # What the new master lacks of them is put back within a second or so of the new connection.
    with App("second", connection=app.connection) as second:
        eventually(
            lambda: all(one.state == "SUCCESS" for one in second.attach(load.id)[0]), "all have it", within=SOON
        )  # fmt: skip
    for note in notes:
        note.until = time.monotonic()
    matrix.close(
        app, row, server=flavour, url=f"redis://127.0.0.1:{pair.master.port}", recovery_s=took, promised_s=RESUME_S
    )  # fmt: skip


@pytest.mark.long
@everywhere
def test_the_master_is_killed(pair, matrix, faults, flavour, eventually):
    made, app = pair
    run_through(
        made,
        app,
        matrix,
        faults,
        "Sentinel: kill -9 of the master, a replica takes over",
        made.fail_over,
        flavour,
        eventually,
    )


@pytest.mark.long
@everywhere
def test_the_master_hands_over_and_lives_on(pair, matrix, faults, flavour, eventually):
    made, app = pair

    def hand_over():
        old = made.master
        with made.sentinels[0].client() as client:
            client.execute_command("SENTINEL", "FAILOVER", MASTER)
        eventually(
            lambda: old.info()["role"] == "slave" and made.master is not old, "another is master", within=SOON
        )

    run_through(
        made, app, matrix, faults, "Sentinel: the living master hands over", hand_over, flavour, eventually
    )


@pytest.mark.long
@everywhere
def test_the_master_stands_still_and_comes_back_as_a_second_one(pair, matrix, faults, flavour, eventually):
    made, app = pair

    def stand_still():
        old = made.master
        with old.paused():
            eventually(lambda: made.master is not old, "another is master", within=SOON)
        eventually(lambda: old.info()["role"] == "slave", "it has been told", within=SOON)

    row = "Sentinel: SIGSTOP of the master until another one is it, then SIGCONT"
    run_through(made, app, matrix, faults, row, stand_still, flavour, eventually)
