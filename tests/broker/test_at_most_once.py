"""Calls that must not run twice (``acks_late=False``), on a server that loses what it knows of them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from nbtasks import App, WorkerLostError
from nbtasks.core.states import FAILURE, SUCCESS

SOON = 60.0


def held(ledger, gate, x):
    """Task code: say that it runs, then wait at a gate."""
    with Path(ledger).open("a") as file:
        file.write(f"{x}\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return x


async def held_beside_others(ledger, gate, x):
    """Task code: the same in the event loop."""
    return await asyncio.to_thread(held, ledger, gate, x)


@pytest.fixture
def here(server):
    """A server that keeps nothing over a restart."""
    return server()


@pytest.fixture
def working(here):
    """An App with two workers on it."""
    with App(broker=here.url) as app:
        app.start_workers(2)
        yield app


def flush(here, app):
    here.client().flushdb()


def restart(here, app):
    here.stop()
    here.start()


def swap(here, app):
    here.client().swapdb(0, 1)


def destroy_groups(here, app):
    client = here.client()
    for key in client.scan_iter("*:q:*"):
        client.xgroup_destroy(key, "w")


def delete_session(here, app):
    client = here.client()
    client.delete(*client.scan_iter("*}:s:*"))


FAULTS = [flush, restart, swap, destroy_groups, delete_session]


#: Faults after which what waited cannot be told from what runs.
LOSING = {flush, restart, swap}


def lost(group):
    """Whether all have failed that waited."""
    return sum(handle.state == FAILURE for handle in group) == len(group) - 2


def put_aside(here):
    """Whether a call waits for its end beside the queue."""
    client = here.client()
    return any(client.zcard(key) for key in client.scan_iter("*:z:*"))


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_runs_twice_and_all_of_it_ends(fault, here, working, ledger, gate, eventually):
    task = working.task(held, acks_late=False)
    items = [(ledger.path, gate.path, x) for x in range(6)]
    group = task.starmap(items, chunk=1, quiet=True)
    single = task.delay(*items[0][:2], 10)
    series = [task.delay(*items[0][:2], x) for x in range(11, 14)]
    eventually(lambda: len(ledger.lines()) == 2, "both workers run a call")
    later = task.apply_async((*items[0][:2], 20), countdown=8.0)
    working.session.flush()
    running = set(map(int, ledger.lines()))
    fault(here, working)
    # Meanwhile it is found out; whether those that run go on to their end or not, none is run beside itself.
    eventually(lambda: fault not in LOSING or lost(group), "what waited has failed", within=SOON)
    gate.open()
    handles = [*group, single, *series, later]
    for handle in handles:
        handle.until_ready(SOON)
    assert {handle.state for handle in handles} <= {SUCCESS, FAILURE}
    assert max(Counter(ledger.lines()).values()) == 1
    ended = {x: handle.state for x, handle in zip([*range(6), 10, 11, 12, 13, 20], handles, strict=True)}
    print(fault.__name__, ended, running)
    assert {ended[x] for x in running} == {SUCCESS}
    assert later.get(timeout=SOON) == 20
    for handle in handles:
        if handle.state == FAILURE:
            with pytest.raises(WorkerLostError, match=r"is not (sent|started) again"):
                handle.get()


@pytest.mark.parametrize(
    "fault",
    [
        destroy_groups,
        *(pytest.param(one, marks=pytest.mark.long) for one in FAULTS if one is not destroy_groups),
    ],
)
def test_what_runs_is_not_run_beside_itself_by_somebody_idle(fault, here, working, ledger, gate, eventually):
    task = working.task(held, acks_late=False)
    first = task.delay(ledger.path, gate.path, 1)
    eventually(ledger.lines, "it runs")
    fault(here, working)
    # The idle worker takes this one, after whatever it was given again.
    assert working.task(abs).delay(-2).get(timeout=SOON) == 2
    if fault is destroy_groups:
        eventually(lambda: put_aside(here), "it was given out again, and is not started", within=SOON)
    gate.open()
    assert first.get(timeout=SOON) == 1
    assert ledger.lines() == ["1"]


@pytest.mark.long
@pytest.mark.parametrize(("function", "pool"), [(held, "threads"), (held_beside_others, "prefork")])
def test_what_runs_side_by_side_goes_on_to_its_end(function, pool, here, ledger, gate, eventually):
    with App(broker=here.url) as app:
        app.start_workers(1, pool=pool, threads=4)
        task = app.task(function, acks_late=False)
        group = task.starmap([(ledger.path, gate.path, x) for x in range(3)], chunk=1, quiet=True)
        eventually(lambda: len(ledger.lines()) == 3, "all run", within=SOON)
        destroy_groups(here, app)
        ask = here.client()
        eventually(lambda: put_aside(here), "they were given out again, and are not started", within=SOON)
        (key,) = ask.scan_iter("*:z:*")
        first = ask.zrange(key, 0, -1, withscores=True)[-1][1]
        eventually(
            lambda: (
                any(due > first + 1000 for _, due in ask.zrange(key, 0, -1, withscores=True))
                or any(handle.ready() for handle in group)
            ),
            "it is looked a second time",
            within=SOON,
        )
        gate.open()
        assert group.get(timeout=SOON) == [0, 1, 2]
        assert sorted(ledger.lines()) == ["0", "1", "2"]


@pytest.mark.long
def test_what_was_sent_again_and_has_begun_is_not_sent_a_third_time(here, ledger, gate, eventually):
    """What the server never had when it was emptied first may have begun when it is emptied again."""
    with App(broker=here.url) as app:
        task = app.task(held, acks_late=False)
        app.task(abs).delay(-1)
        app.session.flush()
        flush(here, app)
        handle = task.delay(ledger.path, gate.path, 7)
        app.start_workers(1)
        eventually(ledger.lines, "it is sent again, and runs", within=SOON)
        (worker,) = eventually(app.workers, "the worker is listed")
        flush(here, app)
        os.kill(worker.pid, signal.SIGKILL)
        gate.open()
        with pytest.raises(WorkerLostError):
            handle.get(timeout=SOON)
        assert ledger.lines() == ["7"]
