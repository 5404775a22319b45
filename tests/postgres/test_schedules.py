"""Periodic tasks over a PostgreSQL: fired by any number of supervisors, killed or not; each due time once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from nbtasks import App
from nbtasks.core.due.periodic import Periodic, id_of, run_id
from nbtasks.core.due.timetable import Timetable
from nbtasks.exceptions import OperationalError
from tests.servers.postgresql import PgBouncer, PostgreSQL

#: A due time every so many seconds.
OFTEN_S = 0.25
KEY_ID = "0a" * 4
NEVER_MS = 4_000_000_000_000


@contextlib.contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def ask(url: str, question: str, *args):
    """Return the rows that the tables' owner is told."""
    with connected(url) as connection:
        cursor = connection.execute(question, args or None)
        return cursor.fetchall() if cursor.description else []


class Processes:
    """``nbtasks worker`` and ``nbtasks beat`` on one server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "nbtasks", what, "-b", self._url, "-l", "warning", *options]
        one = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        self._running.append(one)
        return one

    def kill_who_fires(self) -> subprocess.Popen[bytes] | None:
        """Kill the one that was elected last, if it is one of these."""
        rows = ask(self._url, "SELECT worker FROM nbtasks.elections WHERE duty LIKE 'beat:%'")
        pids = {int(worker.rsplit("-", 2)[1]) for (worker,) in rows}
        for one in self._running:
            if one.pid in pids and one.poll() is None:
                one.kill()
                one.wait()
                return one
        return None

    def close(self) -> None:
        for one in self._running:
            if one.poll() is None:
                one.terminate()
        for one in self._running:
            one.wait(60)


@pytest.fixture
def processes(postgres_url):
    made = Processes(postgres_url)
    yield made
    made.close()


@pytest.fixture
def app(postgres_url, home):
    """An App without workers."""
    with App("postgres", broker=postgres_url) as app:
        yield app


def first_of(task) -> int:
    return round(task.next_run.timestamp() * 1000)


def check_each_was_fired_once(url: str, name: str, first_ms: int, ledger=None, every_s=OFTEN_S) -> int:
    """Of one that pauses: each due time until the last run has its batch, and its call ran; returns how many."""
    ((last_ms, fired),) = ask(
        url, "SELECT dues[1], fired FROM nbtasks.periodic_tasks WHERE id = %s", id_of(name)
    )
    dues = list(range(first_ms, last_ms + 1, round(every_s * 1000)))
    batches = Counter(batch for (batch,) in ask(url, "SELECT batch FROM nbtasks.batches"))
    assert batches == Counter(run_id(name, due) for due in dues)
    assert fired == len(dues)
    if ledger is not None:
        assert sorted(map(int, ledger.lines())) == dues
    return len(dues)


def note(path):
    """Note for which due time this runs."""
    from pathlib import Path

    from nbtasks import current_call

    with Path(path).open("a") as file:
        print(round(current_call().scheduled_for.timestamp() * 1000), file=file, flush=True)


def nothing():
    """Is never run: no worker is there."""


def all_have_ended(url) -> bool:
    return ask(url, "SELECT count(*) FROM nbtasks.batches WHERE ended IS NULL") == [(0,)]


def test_it_is_made_seen_paused_and_removed(postgres_url, new_app, eventually):
    app = new_app(postgres_url)
    app.start_workers(1)

    @app.task
    def add(x, y):
        return x + y

    task = app.add_periodic_task(OFTEN_S, add.s(2, 3), name="add")
    eventually(lambda: task.count > 2, "it is fired")
    assert task.last().get(timeout=60) == 5
    eventually(lambda: task.runs[-1].state == "SUCCESS", "its first run is seen to have ended")
    task.pause()
    assert task.paused
    assert task.next_run is None
    count = task.count
    assert task.run_now().get(timeout=60) == 5
    assert task.count == count + 1
    task.resume()
    eventually(lambda: task.count > count + 2, "it goes on")
    assert [str(one) for one in app.periodic_tasks()] == ["add"]
    assert task.remove()
    assert app.periodic_tasks() == []
    assert not task.exists


@pytest.mark.long
def test_another_fires_when_the_supervisor_that_fires_is_killed(
    app, postgres_url, processes, ledger, eventually
):
    """And what the dead one had taken runs elsewhere: each call at least once, each due time as one run."""
    for _ in range(3):
        processes.start("worker", "-c", "1")
    task = app.add_periodic_task(OFTEN_S, app.task(note).s(ledger.path), name="note", overlap=True, keep=True)
    first_ms = first_of(task)
    for _ in range(2):
        before = task.count
        eventually(lambda before=before: task.count > before + 3, "it is fired")
        assert processes.kill_who_fires()
    before = task.count
    eventually(lambda: task.count > before + 8, "another one fires")
    task.pause()
    eventually(lambda: all_have_ended(postgres_url), "all runs have ended")
    assert check_each_was_fired_once(postgres_url, "note", first_ms) > 14
    assert set(map(int, ledger.lines())) >= {round(run.due.timestamp() * 1000) for run in task.runs}


@pytest.mark.long
def test_a_server_that_is_killed_or_stopped_forgets_and_doubles_no_due_time(start_server, home, eventually):
    server = start_server(PostgreSQL)
    with server.database() as name:
        url = server.url(name)
        beats = Processes(url)
        with App("postgres", broker=url) as app:
            for _ in range(2):
                beats.start("beat")
            task = app.add_periodic_task(
                OFTEN_S, app.task(nothing).s(), name="sweep", overlap=True, keep=True
            )
            first_ms = first_of(task)
            for fault in (server.kill, server.stop, server.kill):
                before = task.count
                eventually(lambda before=before: task.count > before + 3, "it is fired")
                fault()
                server.start()
                eventually(lambda: counted(task) is not None, "the server is there again")
            before = task.count
            eventually(lambda: task.count > before + 3, "it goes on")
            task.pause()
            assert check_each_was_fired_once(url, "sweep", first_ms) > 12
        beats.close()


def counted(task) -> int | None:
    try:
        return task.count
    except OperationalError:
        return None


@pytest.mark.long
def test_beats_that_are_killed_in_turns_neither_double_a_run_nor_skip_one(
    app, postgres_url, processes, eventually
):
    """One may die in the midst of firing: what it had begun is undone, or done."""
    tasks = {
        name: app.add_periodic_task(OFTEN_S, app.task(nothing).s(), name=name, overlap=True, keep=True)
        for name in (f"sweep {k}" for k in range(5))
    }
    firsts = {name: first_of(task) for name, task in tasks.items()}
    for _ in range(3):
        processes.start("beat")
    one = tasks["sweep 0"]
    for _ in range(6):
        before = one.count
        eventually(lambda before=before: one.count > before + 5, "it is fired")
        eventually(processes.kill_who_fires, "the one that fires is killed")
        processes.start("beat")
    before = one.count
    eventually(lambda: one.count > before + 5, "it goes on")
    for task in tasks.values():
        task.pause()
    batches = Counter(batch for (batch,) in ask(postgres_url, "SELECT batch FROM nbtasks.batches"))
    entries = Counter(batch for (batch,) in ask(postgres_url, "SELECT batch FROM nbtasks.entries"))
    assert batches == entries
    expected: Counter[str] = Counter()
    for name, first_ms in firsts.items():
        last_ms = round(tasks[name].runs[0].due.timestamp() * 1000)
        expected.update(run_id(name, due) for due in range(first_ms, last_ms + 1, round(OFTEN_S * 1000)))
    assert batches == expected


def test_one_that_is_stopped_while_it_fires_fires_nothing_twice(app, postgres_url, processes, eventually):
    first, _ = processes.start("beat"), processes.start("beat")
    task = app.add_periodic_task(OFTEN_S, app.task(nothing).s(), name="sweep", overlap=True, keep=True)
    first_ms = first_of(task)
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
    check_each_was_fired_once(postgres_url, "sweep", first_ms)


@pytest.mark.long
def test_behind_a_pooler_that_wakes_nobody(postgres_server, start_server, home, eventually):
    pooler = start_server(PgBouncer, postgres_server)
    with postgres_server.database() as name, App("postgres", broker=pooler.url(name)) as app:
        app.start_workers(1)
        task = app.add_periodic_task(OFTEN_S, app.task(abs).s(-1), name="abs")
        eventually(lambda: task.count > 2, "it is fired")
        assert task.last().get(timeout=60) == 1


def test_due_times_at_which_nobody_was_there(app, postgres_url, processes, eventually):
    names = {"skip": 0, "latest": 1, "all": 3}
    once = app.task(nothing)
    for missed in names:
        app.add_periodic_task("1h", once.s(), name=missed, missed=missed, overlap=True, keep=True)
    # As if nobody had been there for three hours.
    ask(postgres_url, "UPDATE nbtasks.periodic_tasks SET due = due - 10800000 - 120000")
    processes.start("beat")
    for missed, count in names.items():
        task = app.periodic_task(missed)
        eventually(lambda task=task: task.next_run.timestamp() > time.time(), "it is seen to")
        assert (task.count, task.missed) == (count, 3 - count)


KILLED = """
import os, time
from nbtasks import App
app = App("killed", broker={url!r})
@app.task
def nothing(): pass
one = app.add_periodic_task({often}, nothing.s(), name="ends", overlap=True)
while one.count < 2:
    time.sleep(0.05)
os.kill(os.getpid(), 9)
"""


@pytest.mark.long
def test_of_a_process_that_was_killed_nothing_is_fired(app, postgres_url, processes, eventually):
    processes.start("beat")
    script = KILLED.format(url=postgres_url, often=OFTEN_S)
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    task = app.periodic_task("ends")
    # As if the time had passed within which it says that it is there.
    ask(postgres_url, "UPDATE nbtasks.periodic_clients SET said = said - span")
    assert task.facts.ends_with == "a process that is gone"
    eventually(lambda: gone_since(postgres_url), "somebody has seen it")
    before, due = task.count, task.next_run
    eventually(lambda: task.next_run.timestamp() > due.timestamp() + 1, "due times pass")
    assert task.count == before
    # An hour later it does not come back any more.
    ask(postgres_url, "UPDATE nbtasks.periodic_tasks SET gone = gone - 3600000")
    eventually(lambda: not task.exists, "it is removed")


def gone_since(url) -> int | None:
    return ask(url, "SELECT gone FROM nbtasks.periodic_tasks")[0][0]


def test_what_nobody_has_signed_with_our_key_is_never_fired(app, postgres_url, processes, eventually):
    nobody = app.task(nothing)
    task = app.add_periodic_task(OFTEN_S, nobody.s(), name="sweep", overlap=True, keep=True)
    other = app.add_periodic_task(OFTEN_S, nobody.s(), name="other", overlap=True, keep=True)
    ask(
        postgres_url,
        "UPDATE nbtasks.periodic_tasks SET version = 'another', frame = set_byte(frame, octet_length(frame) - 1, "
        "(get_byte(frame, octet_length(frame) - 1) + 1) %% 256) WHERE id = %s",
        id_of("sweep"),
    )
    processes.start("beat")
    eventually(lambda: other.count > 3, "others are fired nevertheless")
    assert ask(postgres_url, "SELECT fired FROM nbtasks.periodic_tasks WHERE id = %s", id_of("sweep")) == [
        (0,)
    ]
    assert [str(one) for one in app.periodic_tasks()] == ["other"]
    assert task.remove()


def test_what_makes_no_sense_is_shown_as_nothing(postgres_url, new_line):
    store = new_line(postgres_url).periodic_store(KEY_ID)
    task = Periodic("sweep", Timetable.of(10, "UTC"), "default@3.11.x", "fn")
    put = (b"frame", "every 10", "fn", b"code", "", 1000, 60_000)
    for wrong in (
        ("no id", *put),
        (task.id, b"x" * (4 * 2**20 + 1), *put[1:]),
        (task.id, *put[:5], 2**62, 60_000),
    ):
        with pytest.raises(OperationalError, match="refused a command"):
            store.put(*wrong)
    store.put(task.id, *put)
    ask(
        postgres_url,
        "UPDATE nbtasks.periodic_tasks SET dues = '{-1, 5, 9223372036854775807, 7}', fired = -1, missed = -5, "
        "runs = '{abcd, \"no batch\", abcd, abcd, 12}', paused = 9223372036854775807",
    )
    (seen,) = store.look(task.id)[1]
    assert (seen.runs, seen.missed, seen.paused_ms, seen.last) == (0, 0, None, ((7, "abcd", 255),))
    ask(postgres_url, "ALTER TABLE nbtasks.periodic_tasks DROP CONSTRAINT periodic_tasks_id_check")
    ask(postgres_url, "UPDATE nbtasks.periodic_tasks SET id = 'no id'")
    assert store.look()[1] == []
    assert store.agenda("b1", 1000, 10).tasks == ()


def test_code_that_no_periodic_task_needs_any_more_goes(postgres_url, new_line):
    line = new_line(postgres_url)
    store, housekeeping = line.periodic_store(KEY_ID), line.housekeeping()
    for name in ("old", "new"):
        store.put("ab", name.encode(), "every 10", name, b"code of " + name.encode(), "", 1000, 60_000)
        housekeeping.sweep_batches(0)
        assert line.store().function(name)
    assert line.store().function("old") is None, "another version has taken its place"
    store.say_there("c1", 0)
    store.remove("ab")
    housekeeping.sweep_batches(0)
    assert ask(postgres_url, "SELECT digest FROM nbtasks.functions") == []
    assert ask(postgres_url, "SELECT client FROM nbtasks.periodic_clients") == []


def test_the_servers_clock_goes_back(postgres_url, new_line):
    """What was said and elected before then does not count for ever."""
    line = new_line(postgres_url)
    store = line.periodic_store(KEY_ID)
    store.put("ab", b"frame", "every 10", "fn", b"code", "c1", 1000, 60_000)
    store.say_there("c1", 30_000)
    assert store.agenda("b1", 1000, 10).tasks[0].is_there
    ask(postgres_url, "UPDATE nbtasks.periodic_clients SET said = said + 3600000")
    ask(postgres_url, "UPDATE nbtasks.elections SET until = until + 3600000")
    agenda = store.agenda("b2", 1000, 10)
    assert agenda.elected
    assert not agenda.tasks[0].is_there
    store.say_there("c1", 30_000)
    assert store.agenda("b2", 1000, 10).tasks[0].is_there
