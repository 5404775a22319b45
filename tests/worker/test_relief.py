"""A call that keeps the GIL makes its process deaf: what the process has in hand goes to others, and runs once."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import time
from pathlib import Path

import pytest

SOON = 60.0


def note(path, text):
    """Task code: one line in a ledger, written as a whole."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(file, f"{text}\n".encode())
    os.close(file)


def hold_the_gil(fifo):
    """Task code: wait in C code until the other end is opened, and let no Python run meanwhile."""
    ctypes.PyDLL(None).open(os.fsencode(fifo), os.O_RDONLY)


def work(item, ledger, fifo):
    """Task code: say that it runs; call 0 is deaf."""
    note(ledger, f"{item}:{os.getpid()}")
    if item == "deaf":
        hold_the_gil(fifo)
    return item


def deaf_for(milliseconds, ledger, item):
    note(ledger, str(item))
    ctypes.PyDLL(None).usleep(ctypes.c_uint(1000 * milliseconds))
    return item


@pytest.fixture
def fifo(tmp_path):
    """What the deaf call waits at; ``fifo.open()`` ends its wait."""

    class Fifo:
        path = str(tmp_path / "fifo")

        def open(self):
            os.close(os.open(self.path, os.O_WRONLY))

    os.mkfifo(Fifo.path)
    return Fifo()


def lines(ledger):
    return [line.partition(":")[0] for line in ledger.lines()]


def test_calls_behind_a_deaf_one_in_its_chunk_run_elsewhere(app, fifo, ledger, eventually):
    items = ["a", "b", "deaf", "c", "d", "e"]
    group = app.task(work).starmap([(item, ledger.path, fifo.path) for item in items], chunk=6, quiet=True)
    others = [index for index, item in enumerate(items) if item != "deaf"]
    eventually(lambda: all(group[index].ready() for index in others[2:]), "nobody waits for the deaf call")
    assert not group[2].ready()
    fifo.open()
    assert group.get(timeout=SOON) == items
    assert sorted(lines(ledger)) == sorted(items)
    assert app.task(len).map(["a"] * 50, quiet=True).get(timeout=SOON) == [1] * 50


def test_entries_behind_it_do_too(app, fifo, ledger, eventually):
    """A child that runs short calls takes several entries at once."""
    warm = app.task(work).starmap([("w", os.devnull, "")] * 100, chunk=1, quiet=True)
    warm.get(timeout=SOON)
    items = ["deaf", *map(str, range(60))]
    group = app.task(work).starmap([(item, ledger.path, fifo.path) for item in items], chunk=1, quiet=True)
    eventually(lambda: group.batch.finished_count == 60, "all but the deaf call have ended")
    fifo.open()
    assert group.get(timeout=SOON) == items
    assert sorted(lines(ledger)) == sorted(items)


def test_where_nobody_else_is_they_wait_and_run_once(idle_app, fifo, ledger, eventually):
    idle_app.start_workers(1)
    items = ["deaf", "a", "b"]
    group = idle_app.task(work).starmap(
        [(item, ledger.path, fifo.path) for item in items], chunk=3, quiet=True
    )
    eventually(ledger.lines, "it runs")
    eventually(
        lambda: idle_app.session.queues.length(idle_app.session.address("default"), "M") == 1,
        "the others are in the queue again",
    )
    fifo.open()
    assert group.get(timeout=SOON) == items
    assert sorted(lines(ledger)) == sorted(items)


def test_a_deaf_child_that_is_killed_afterwards_gives_back_its_own_call_only(app, fifo, ledger, eventually):
    items = ["deaf", "a", "b", "c"]
    group = app.task(work).starmap([(item, ledger.path, fifo.path) for item in items], chunk=4, quiet=True)
    eventually(lambda: group.batch.finished_count == 3, "nobody waits for the deaf call")
    os.kill(int(ledger.lines()[0].partition(":")[2]), signal.SIGKILL)
    eventually(lambda: lines(ledger).count("deaf") == 2, "it runs again")
    fifo.open()
    assert group.get(timeout=SOON) == items
    assert sorted(lines(ledger)) == sorted([*items, "deaf"])


@pytest.mark.parametrize(("seed", "n"), [(1, 16), pytest.param(2, 40, marks=pytest.mark.long)])
def test_every_call_runs_once_however_long_it_is_deaf(app, ledger, seed, n):
    """About as long as it takes until others are given what waits: questions and answers cross."""
    chance = random.Random(seed)
    calls = [(chance.choice([0, 1, 380, 400, 420, 500, 640]), ledger.path, item) for item in range(n)]
    assert app.task(deaf_for).starmap(calls, chunk=8, quiet=True).get(timeout=60) == list(range(n))
    assert sorted(map(int, Path(ledger.path).read_text().split())) == list(range(n))


def hold_up(ledger, url, item):
    """Task code: say that it runs; call 0 takes a second, in which the server answers nobody."""
    import redis

    note(ledger, item)
    if item == 0:
        with redis.Redis.from_url(url) as client:
            client.execute_command("CLIENT", "PAUSE", 1500)
        time.sleep(1.0)
    return item


@pytest.mark.parametrize("acks_late", [False, True])
def test_what_is_taken_afterwards_is_kept_where_both_have_given_away(idle_app, ledger, acks_late):
    """While the server is away the child cannot give anything away, so its supervisor is about to do so, too."""
    idle_app.start_workers(1)
    task = idle_app.task(hold_up, acks_late=acks_late)
    calls = [(ledger.path, idle_app.connection.url, item) for item in range(6)]
    group = task.starmap(calls, chunk=3, quiet=True)
    assert group.get(timeout=SOON) == list(range(6))
    assert sorted(map(int, ledger.lines())) == list(range(6))
