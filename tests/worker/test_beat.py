"""Who fires periodic tasks: any number of beats and workers, killed or not; each due time is fired once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from nbtasks import App
from nbtasks.broker.redis.keys import Keys
from nbtasks.core.due.periodic import run_id

#: A due time every so many seconds.
OFTEN_S = 0.25


def nothing():
    """Is never run: no worker is there."""


class Beats:
    """``nbtasks beat`` processes for an App's server."""

    def __init__(self, app) -> None:
        self._app = app
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        url = self._app.connection.url
        command = [sys.executable, "-m", "nbtasks", "beat", "-b", url, "-l", "warning"]
        one = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        self._running.append(one)
        return one

    def kill(self, one: subprocess.Popen[bytes]) -> None:
        one.kill()
        one.wait()

    def close(self) -> None:
        for one in self._running:
            if one.poll() is None:
                self.kill(one)


@pytest.fixture
def beats(idle_app):
    made = Beats(idle_app)
    yield made
    made.close()


class Fired:
    """What was fired of a periodic task, as the queue has it."""

    def __init__(self, app, names) -> None:
        self._app = app
        self._keys = Keys(app.connection.namespace)
        self._link = app.session.new_line()
        self.first = {name: round(self._facts(name).next_run.timestamp() * 1000) for name in names}

    def _facts(self, name):
        from nbtasks.client.periodic.periodictask import PeriodicTask

        return PeriodicTask(name, self._app).facts

    def counts(self) -> Counter[str]:
        """How often each run was queued, by its batch."""
        lane = self._keys.lane(self._app.session.address("default"), "m")
        entries = self._link.call("XRANGE", lane, "-", "+")
        return Counter(fields[fields.index(b"b") + 1].decode() for _, fields in entries)

    def check(self, every_s: float) -> int:
        """Each due time until now was fired once; returns how many there were."""
        counts = self.counts()
        expected = set()
        for name, first in self.first.items():
            end = round(self._facts(name).next_run.timestamp() * 1000)
            expected |= {run_id(name, due) for due in range(first, end, round(every_s * 1000))}
        assert set(counts) == expected
        assert set(counts.values()) == {1}
        return len(expected)


def in_turns(app, beats, names, every_s, for_s, each_s):
    """Kill each of two beats in turns while something is due all the time."""
    # Looked at before anybody fires: a thousand take a moment.
    fired = Fired(app, names)
    two = [beats.start(), beats.start()]
    end, turn = time.monotonic() + for_s, 0
    while time.monotonic() < end:
        time.sleep(each_s)
        beats.kill(two[turn])
        two[turn] = beats.start()
        turn = 1 - turn
    return fired


@pytest.mark.long
def test_two_beats_that_are_killed_in_turns_neither_double_a_run_nor_skip_one(idle_app, beats, eventually):
    names = [f"sweep {k}" for k in range(5)]
    for name in names:
        idle_app.add_periodic_task(OFTEN_S, idle_app.task(nothing).s(), name=name, overlap=True)
    fired = in_turns(idle_app, beats, names, OFTEN_S, for_s=8, each_s=1.5)
    eventually(lambda: len(fired.counts()) >= 5 * 8 / OFTEN_S / 2, "they are fired")
    for name in names:
        idle_app.periodic_task(name).pause()
    assert fired.counts()
    _check_paused(idle_app, fired, names)


def _check_paused(app, fired, names):
    """A paused one has no next due time: the last one that was fired stands for it."""
    counts = fired.counts()
    for name in names:
        runs = app.periodic_task(name).runs
        last = round(runs[0].due.timestamp() * 1000)
        step = round(OFTEN_S * 1000)
        expected = [run_id(name, due) for due in range(fired.first[name], last + 1, step)]
        assert [counts.pop(one, 0) for one in expected] == [1] * len(expected)
    assert not counts


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    # In one minute as many due times of each as otherwise in four.
    ("every_s", "for_s", "least"),
    [(1.25, 60, 30), (5, 600, 100)],
    ids=["a minute, four times as fast", "ten minutes"],
)
def test_a_thousand_periodic_tasks_and_two_beats_that_are_killed_in_turns(
    idle_app, beats, every_s, for_s, least
):
    names = [f"sweep {k}" for k in range(1000)]
    for name in names:
        idle_app.add_periodic_task(every_s, idle_app.task(nothing).s(), name=name, overlap=True)
    fired = in_turns(idle_app, beats, names, every_s, for_s, each_s=7)
    # From now on nobody fires: what the queue has, and what is due next, are looked at one after the other.
    beats.close()
    assert fired.check(every_s) >= 1000 * least


def test_a_standby_fires_what_falls_into_the_take_over(idle_app, beats, eventually):
    first, _ = beats.start(), beats.start()
    task = idle_app.add_periodic_task(OFTEN_S, idle_app.task(nothing).s(), name="sweep", overlap=True)
    fired = Fired(idle_app, ["sweep"])
    eventually(lambda: task.count > 4, "it is fired")
    os.kill(first.pid, signal.SIGSTOP)
    try:
        before = task.count
        eventually(lambda: task.count > before + 4, "the other one has taken over")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    before = task.count
    eventually(lambda: task.count > before + 4, "it goes on")
    task.pause()
    _check_paused(idle_app, fired, ["sweep"])


def test_it_is_the_server_whose_clock_counts(idle_app, monkeypatch):
    """A client whose clock is an hour off puts what is due, and a beat does not look at its own."""
    wrong = time.time
    monkeypatch.setattr(time, "time", lambda: wrong() + 3600)
    task = idle_app.add_periodic_task(60, idle_app.task(nothing).s(), name="sweep")
    monkeypatch.undo()
    assert abs(task.next_run.timestamp() - wrong() - 60) < 30


def test_a_worker_without_beat_fires_nothing_and_says_so_nowhere(home, eventually):
    with App("test") as app:
        app.start_workers(1, beat=False)
        add = app.task(lambda: 1)
        task = app.add_periodic_task(OFTEN_S, add.s(), name="sweep")
        # Whatever the worker does, it has done by then.
        assert add.delay().get(timeout=20) == 1
        time.sleep(3 * OFTEN_S)
        assert task.count == 0
        app.start_workers(1)
        eventually(lambda: task.count, "a worker fires it that has not been told to leave it")


def test_what_nobody_has_signed_with_our_key_is_never_fired(shared_app, eventually):
    @shared_app.task
    def sweep():
        return 1

    task = shared_app.add_periodic_task(OFTEN_S, sweep.s(), name="sweep")
    eventually(lambda: task.count > 1, "it is fired")
    keys, link = Keys(shared_app.connection.namespace), shared_app.session.new_line()
    key_id = shared_app.session.keyring.id
    from nbtasks.core.due.periodic import id_of

    key = keys.periodic(key_id, id_of("sweep"))
    frame = link.call("HGET", key, "d")
    link.call("HSET", key, "d", frame[:-1] + bytes([frame[-1] ^ 1]), "v", "another")
    before = int(link.call("HGET", key, "n"))
    time.sleep(4 * OFTEN_S)
    assert int(link.call("HGET", key, "n")) <= before + 1
    # Others are fired nevertheless.
    other = shared_app.add_periodic_task(OFTEN_S, sweep.s(), name="other")
    eventually(lambda: other.count > 1, "the other one is fired")
    assert task.remove()
    other.remove()


def test_a_run_that_would_overlap_is_left_out_and_counted(shared_app, gate, eventually):
    @shared_app.task
    def wait(path):
        from pathlib import Path

        while not Path(path).exists():
            time.sleep(0.01)

    task = shared_app.add_periodic_task(OFTEN_S, wait.s(gate.path), name="one at a time")
    eventually(lambda: task.skipped > 2, "due times are left out")
    assert task.count == 1
    gate.open()
    eventually(lambda: task.count > 1, "it goes on")
    task.remove()


def test_with_overlap_all_due_times_are_fired(shared_app, gate, eventually):
    @shared_app.task
    def wait(path):
        from pathlib import Path

        while not Path(path).exists():
            time.sleep(0.01)

    task = shared_app.add_periodic_task(OFTEN_S, wait.s(gate.path), name="long", overlap=True)
    eventually(lambda: task.count > 3, "it is fired")
    assert task.skipped == 0
    task.remove()


def test_due_times_at_which_nobody_was_there(idle_app, eventually):
    names = {"skip": 0, "latest": 1, "all": 3}
    once = idle_app.task(nothing)
    for missed in names:
        idle_app.add_periodic_task("1h", once.s(), name=missed, missed=missed, overlap=True)
    keys, link = Keys(idle_app.connection.namespace), idle_app.session.new_line()
    from nbtasks.core.due.periodic import id_of

    for missed in names:
        # As if nobody had been there for three hours.
        due = keys.due(idle_app.session.keyring.id)
        score = float(link.call("ZSCORE", due, id_of(missed)))
        link.call("ZADD", due, int(score) - 3 * 3_600_000 - 120_000, id_of(missed))
    beats = Beats(idle_app)
    try:
        beats.start()
        for missed, count in names.items():
            task = idle_app.periodic_task(missed)
            eventually(lambda task=task: task.next_run.timestamp() > time.time(), "it is seen to")
            assert (task.count, task.missed) == (count, 3 - count)
    finally:
        beats.close()


def test_jitter_delays_each_run_by_as_much_whoever_fires_it(shared_app, eventually):
    @shared_app.task
    def when():
        from nbtasks import current_call

        return current_call().eta

    task = shared_app.add_periodic_task("1s", when.s(), name="spread", jitter=0.5)
    eventually(lambda: task.count > 1, "it is fired")
    assert task.last().get(timeout=30) is not None
    task.remove()
