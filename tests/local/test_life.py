"""The embedded server ends and is started again: what must not run twice runs where nothing was forgotten."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import redis

from nbtasks import App, WorkerLostError
from nbtasks.local.server import embedded

SOON = 60.0


def noted(ledger, x):
    """Task code: say that it runs."""
    with Path(ledger).open("a") as file:
        file.write(f"{x}\n")
    return x


def held(ledger, gate, x):
    """Task code: say that it runs, then wait at a gate."""
    noted(ledger, x)
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return x


def submit(app, ledger):
    """Submit all kinds of calls that must not run twice; return their ids and what they give."""
    task = app.task(noted, name="noted", acks_late=False)
    handles = {
        0: task.delay(ledger.path, 0),
        1: task.apply_async((ledger.path, 1), countdown=0.2),
        **dict(enumerate([task.delay(ledger.path, x) for x in range(2, 5)], 2)),
        **dict(enumerate(task.starmap([(ledger.path, x) for x in range(5, 9)], chunk=2, quiet=True), 5)),
    }
    app.session.flush()
    return {x: handle.id for x, handle in handles.items()}


def ends(app, ids):
    """What calls give, or the error that they end with."""
    found = {}
    for x, name in ids.items():
        handle = app.AsyncResult(name)
        handle.until_ready(SOON)
        found[x] = handle.result
    return found


def with_workers(app):
    """Have workers look at the queues, so that the server knows of them."""
    app.start_workers(1)
    assert app.task(abs, acks_late=False).delay(-1).get(timeout=SOON) == 1


def tell_all_to_end(processes):
    """What the system does at a logout."""
    for pid in processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@pytest.fixture
def used_before(project):
    """A server that was stopped in an orderly way after workers had used it."""
    with App("test") as app:
        with_workers(app)


# --- what a user sees ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("used_before")
def test_what_waited_at_an_orderly_stop_runs_once(ledger):
    with App("test") as app:
        ids = submit(app, ledger)
    # A day without workers and without calls.
    with App("test") as app:
        assert app.AsyncResult(ids[0]).state == "PENDING"
    with App("test") as app:
        app.start_workers(2)
        assert ends(app, ids) == {x: x for x in ids}
    assert sorted(map(int, ledger.lines())) == sorted(ids)


@pytest.mark.long
@pytest.mark.usefixtures("used_before")
def test_what_waited_while_everybody_was_told_to_end_runs_once(ledger, processes):
    with App("test") as app:
        ids = submit(app, ledger)
        tell_all_to_end(processes)
        app.start_workers(2)
        assert ends(app, ids) == {x: x for x in ids}
    assert sorted(map(int, ledger.lines())) == sorted(ids)


@pytest.mark.long
@pytest.mark.usefixtures("used_before")
def test_what_waited_at_a_crash_is_not_started(ledger):
    with App("test") as app:
        ids = submit(app, ledger)
        # This one is not due yet, so it is known not to have begun.
        delayed = {1: ids.pop(1)}
        os.killpg(app._opened.lease.pid, signal.SIGKILL)
        app.start_workers(2)
        found = ends(app, ids)
        assert {type(error) for error in found.values()} == {WorkerLostError}
        ends(app, delayed)
    assert set(map(int, ledger.lines())) <= {1}


@pytest.mark.long
def test_what_ran_at_an_orderly_stop_does_not_run_again(project, ledger, gate, eventually):
    with App("test") as app:
        app.start_workers(1)
        task = app.task(held, name="held", acks_late=False)
        running, waiting = [task.delay(ledger.path, gate.path, x) for x in (1, 2)]
        eventually(ledger.lines, "one runs")
        app.close(cold=True)
    gate.open()
    with App("test") as app:
        app.start_workers(1)
        found = ends(app, {1: running.id, 2: waiting.id})
    assert found[2] == 2
    assert isinstance(found[1], WorkerLostError)
    assert ledger.lines() == ["1", "2"]


# --- what goes on, and what does not ------------------------------------------------------------------------


def life(lease):
    """The name of the server's life."""
    with redis.Redis.from_url(lease.url) as client:
        return Path(client.info("server")["config_file"]).stem


def answers(lease):
    try:
        return bool(life(lease))
    except redis.ConnectionError:
        return False


def goodbye(lease, processes, eventually):
    lease.close()


def logout(lease, processes, eventually):
    with redis.Redis.from_url(lease.url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGTERM)
        at = client.time()[0]
        eventually(
            lambda: client.time()[0] > at + 1,
            "the server could have heard of it, and leaves it to its keeper",
        )
    tell_all_to_end(processes)
    eventually(lambda: not processes(), "all have ended")


def crash(lease, processes, eventually):
    os.killpg(lease.pid, signal.SIGKILL)
    eventually(lambda: not processes(), "all are dead")


def crash_of_the_server(lease, processes, eventually):
    with redis.Redis.from_url(lease.url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    eventually(lambda: answers(lease), "another one runs")


def crash_of_the_keeper(lease, processes, eventually):
    os.kill(lease.pid, signal.SIGKILL)
    eventually(lambda: not processes(), "all have ended")


@pytest.mark.parametrize(
    ("stop", "goes_on"),
    [
        (goodbye, True),
        (logout, True),
        (crash, False),
        (crash_of_the_server, False),
        (crash_of_the_keeper, False),
    ],
)
def test_a_life_goes_on_over_an_orderly_stop_only(project, processes, eventually, stop, goes_on):
    lease = embedded.acquire()
    before = life(lease)
    stop(lease, processes, eventually)
    lease.close()
    again = embedded.acquire()
    assert (life(again) == before) == goes_on
    again.close()


def cut(data):
    (log,) = data.glob("appendonlydir/*.incr.aof")
    os.truncate(log, log.stat().st_size - 5)


def put_back(data):
    """The same bytes, as a backup brings them."""
    for file in data.glob("appendonlydir/*"):
        shutil.copy2(file, f"{file}.new")
        Path(f"{file}.new").replace(file)


@pytest.mark.parametrize("change", [cut, put_back, shutil.rmtree])
def test_a_life_ends_when_its_files_are_other_ones(project, change):
    lease = embedded.acquire()
    before = life(lease)
    with redis.Redis.from_url(lease.url) as client:
        client.set("kept", "yes")
    lease.close()
    change(lease.folder / "data")
    again = embedded.acquire()
    assert life(again) != before
    again.close()


def test_a_stop_does_not_vouch_for_the_run_after_the_next_start(project, processes, eventually):
    lease = embedded.acquire()
    before = life(lease)
    lease.close()
    files = {file: file.stat().st_size for file in (lease.folder / "data").glob("appendonlydir/*")}
    lease = embedded.acquire()
    assert life(lease) == before
    with redis.Redis.from_url(lease.url) as client:
        client.set("taken", "yes")
    crash(lease, processes, eventually)
    # A power failure takes what was written last.
    for file, size in files.items():
        os.truncate(file, size)
    lease.close()
    again = embedded.acquire()
    with redis.Redis.from_url(again.url) as client:
        assert client.get("taken") is None
    assert life(again) != before
    again.close()


def is_loading(url):
    with redis.Redis.from_url(url) as client:
        try:
            client.ping()
        except redis.BusyLoadingError:
            return True
        except redis.ConnectionError:
            return False
    pytest.skip("this machine reads data too fast")


@pytest.mark.parametrize(
    "much", [0, pytest.param(4, marks=pytest.mark.long)], ids=["at once", "while it reads"]
)
def test_a_stop_before_all_data_are_read_changes_nothing(project, eventually, much):
    lease = embedded.acquire()
    before = life(lease)
    with redis.Redis.from_url(lease.url) as client:
        for part in range(much):
            # Many short commands take long to read again.
            client.eval("for k = 1, 1e5 do redis.call('SET', ARGV[1] .. k % 9, k) end", 0, part)
    lease.close()
    starting = embedded.begin()
    if much:
        eventually(lambda: is_loading(lease.url), "it reads its data")
    starting.close()
    again = embedded.acquire()
    assert life(again) == before
    again.close()
