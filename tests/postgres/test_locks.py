"""Locks over PostgreSQL where many want them at once, from several processes, and some are killed meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.locks import call_name
from nbtasks.core.lock import Lock
from tests.broker.contract.bench import ADDRESS, SUCCESS, name, record
from tests.broker.contract.servers import Place
from tests.locks.conftest import Entries, held
from tests.servers.postgresql import PostgreSQL

#: Lock -> how many may hold it at once; in this order, and the other way round.
CAPACITIES = {"alpha": 1, "beta": 2, "gamma": 3}
CALLS = 150
SOON_MS = 500


class Seats:
    """As many seats for each lock as may hold it: the system frees those of a process at the moment of its death."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def taken(self, locks):
        """Sit down for each lock, on one of as many seats as this holder agrees to."""
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(self._one(lock))
            yield

    @contextlib.contextmanager
    def _one(self, lock):
        for number in range(CAPACITIES[lock.name]):
            seat = os.open(self._folder / f"{lock.name}.{number}", os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(seat)
                continue
            try:
                yield
            finally:
                os.close(seat)
            return
        raise AssertionError(f"{lock.name} is held by more than {CAPACITIES[lock.name]}")


class Process:
    """One of several: two children that run calls, and code that takes locks by itself."""

    def __init__(self, place, folder, number, dies_after):
        self._leg, self._folder, self._number = open_leg(place), Path(folder), number
        self._seats, self._dies_after = Seats(self._folder), dies_after
        self._ran = itertools.count(1)

    def run(self):
        """Until all calls have ended; every problem is written down."""
        line = self._leg.line()
        for worker in (f"w{self._number}", f"c{self._number}"):
            line.fleet().renew(worker, "15000 1", "", 60_000)
        line.close()
        works = [lambda: self._child(0), lambda: self._child(1), self._code]
        threads = [threading.Thread(target=self._told, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _told(self, work):
        try:
            work()
        except BaseException as error:  # noqa: BLE001 whatever it is, the test hears of it
            (self._folder / f"problem {self._number} {secrets.token_hex(4)}").write_text(repr(error))

    def _is_over(self):
        return (self._folder / "over").exists()

    def _child(self, number):
        line, consumer = self._leg.line(), f"w{self._number}/{number}"
        delivery = line.delivery([ADDRESS], consumer)
        locking, chance = delivery.call_locks(), random.Random(f"{self._number} {number}")
        while not self._is_over():
            for entry in delivery.wait(SOON_MS):
                locks = locks_of(entry.first)
                if locking.take(entry, entry.first, "m", "a call", locks).token is None:
                    continue
                with self._seats.taken(locks):
                    if next(self._ran) == self._dies_after:
                        os.kill(os.getpid(), signal.SIGKILL)
                if chance.random() < 0.1:
                    # It does not start after all.
                    line.locks().release(locks, call_name(entry.batch, entry.first), consumer)
                    delivery.give(entry, [(entry.first, 1, 1)])
                    continue
                report = Finish()
                report.results(entry.batch, entry.first, SUCCESS, record(entry.first, 1))
                for lock in locks:
                    report.unlocked(lock.id, call_name(entry.batch, entry.first), consumer)
                report.done(entry)
                delivery.finish(report)
        line.close()

    def _code(self):
        line, waiting, consumer = self._leg.line(), self._leg.line(), f"c{self._number}/0"
        locks, chance = line.locks(), random.Random(self._number)
        for number in itertools.count():
            if self._is_over():
                break
            lock = Lock(*chance.choice(list(CAPACITIES.items())))
            holder = f"{consumer}/{number}"
            while locks.acquire(lock, holder, consumer, "code", wait=True) is None and not self._is_over():
                waiting.locks().await_turn(holder, 0.3, self._is_over)
            if not self._is_over():
                with self._seats.taken([lock]):
                    pass
            locks.release([lock], holder, consumer)
        line.close()
        waiting.close()


def locks_of(index):
    """The locks of a call: some of all, in some order."""
    chance = random.Random(index)
    names = chance.sample(list(CAPACITIES), chance.randint(1, 3))
    return [Lock(one, CAPACITIES[one]) for one in names]


#: What a process of its own does; the first one is killed.
ROOT = Path(__file__).parents[2]
ONE = """
import sys

# Behind what is installed, which is tried.
sys.path.append(sys.argv.pop())
from tests.broker.contract.servers import Place
from tests.postgres.test_locks import Process

url, namespace, folder, number = sys.argv[1:]
Process(Place(url, namespace), folder, int(number), 30 if number == "0" else None).run()
"""


@pytest.mark.long
def test_many_at_once_never_hold_more_than_there_are(postgres_url, new_line, tmp_path, eventually):
    place = Place(postgres_url)
    line = new_line(postgres_url, place.namespace)
    line.check()
    flush, batch = Flush(), name()
    flush.batch(batch, CALLS, ADDRESS, "fn", b"function", b"label", 60_000)
    for index in range(CALLS):
        flush.chunk(batch, ADDRESS, "m", 0, index, 1, b"the chunk of %d" % index)
    line.submission().submit(name(), 1, flush)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ONE, postgres_url, place.namespace, tmp_path, str(number), str(ROOT)]
        )
        for number in range(3)
    ]
    reaped = False

    def all_have_ended():
        nonlocal reaped
        assert problems(tmp_path) == []
        line.locks().see_to_lines()
        if not reaped and processes[0].poll() is not None:
            reap(line, "w0", "c0")
            reaped = True
        return reaped and all(line.store().states(batch, 0, CALLS))

    try:
        eventually(all_have_ended, "all calls have ended")
    finally:
        (tmp_path / "over").touch()
        for process in processes:
            process.wait(60)
    assert [process.returncode for process in processes] == [-signal.SIGKILL, 0, 0]
    assert problems(tmp_path) == []
    line.locks().see_to_lines()
    with psycopg.connect(postgres_url) as connection:
        for table in ("lock_holds", "lock_lines", "entries"):
            rows = connection.execute(f"SELECT * FROM nbtasks.{table}").fetchall()
            assert rows == [], table
        waiting = connection.execute(
            "SELECT place FROM nbtasks.sleepers WHERE place LIKE 'lock %'"
        ).fetchall()
        assert [one for (one,) in waiting if not one.startswith("lock c0/")] == []
        found = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert found.fetchone() == (0,)


def problems(folder):
    """What processes have written down."""
    return [one.read_text() for one in folder.glob("problem *")]


def reap(line, worker, client):
    """Give back what a dead process held, as a supervisor does it."""
    line.fleet().strike_off([client])
    line.locks().unlock_all([client])
    line.fleet().lapse(worker, b"15000 1")
    line.locks().unlock(worker, guard=True)
    delivery = line.delivery([ADDRESS], "reaper/0")
    for consumer in line.consumers([ADDRESS]).counts():
        if consumer.startswith(f"{worker}/"):
            dead = delivery.on_behalf_of(consumer, of_dead=worker)
            dead.prepare()
            for entry in dead.in_hand():
                dead.give(entry, [(entry.first, entry.count, 1)])


# -- as users have them


@pytest.mark.long
def test_a_lock_of_a_killed_child_is_free_at_once(postgres_url, new_app, tmp_path, gate, eventually):
    app, entries = new_app(postgres_url), Entries(tmp_path / "entries")
    app.start_workers(3)
    task = app.task(held, locks="db")
    first = task.delay(entries.path, 0, 0.0, gate.path)
    pids = eventually(entries.pids, "it runs")
    others = task.starmap([(entries.path, n) for n in range(1, 6)])
    reason = eventually(others.why_pending, "the others wait")
    assert "waits for lock 'db'" in reason
    os.kill(pids[0], signal.SIGKILL)
    gate.open()
    assert len(others.get(timeout=60)) == 5
    assert first.get(timeout=60)
    assert entries.most({pids[0]}) == 1


@pytest.mark.long
def test_a_server_that_is_killed_still_knows_who_holds_a_lock(
    start_server, new_app, tmp_path, gate, eventually
):
    server, entries = start_server(PostgreSQL), Entries(tmp_path / "entries")
    with server.database() as database:
        app = new_app(server.url(database))
        app.start_workers(2)
        task = app.task(held, locks="kept")
        first = task.delay(entries.path, 0, 0.0, gate.path)
        eventually(entries.pids, "it runs")
        with app.lock("of code") as hold:
            second = task.delay(entries.path, 1)
            eventually(second.why_pending, "the other one waits")
            server.kill()
            server.start()
            third = task.delay(entries.path, 2)
            eventually(lambda: app.session.line.locks().occupancy("kept", 1).waiting == 2, "both wait")
            assert not hold.is_lost
        gate.open()
        assert all(one.get(timeout=60) for one in (first, second, third))
        assert entries.entered() == [0, 1, 2], "it was not stopped, and nobody came before its turn"
        app.close()
