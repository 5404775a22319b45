"""The broker loses periodic tasks: what a process has put that is still there comes back, and nothing else does."""

from __future__ import annotations

import contextlib
import datetime as dt
import time

import pytest
import redis

from nbtasks import App
from nbtasks.client.engines.brokered import ownperiodics
from nbtasks.core.due.periodic import id_of
from tests.chaos.servers import find
from tests.servers.sentinels import KeyServer

HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Clients that look all the time."""
    monkeypatch.setattr(ownperiodics, "SAY_S", 0.2)
    monkeypatch.setattr(ownperiodics, "_AGAIN_S", 0.2)


@pytest.fixture
def link(idle_app):
    """A client of the server's, as an operator has."""
    with contextlib.closing(redis.Redis.from_url(idle_app.connection.url)) as client:
        yield client


@pytest.fixture
def another(idle_app):
    """Another notebook."""
    with App(connection=idle_app.connection) as app:
        yield app


def said(app, link):
    """When an App was last noted as there."""
    keys = app.session.line.keys
    return link.get(keys.said_there(app.engine.periodics.client))


def await_looks(app, link, eventually):
    """Return when an App has looked at its periodic tasks once more, from the beginning."""
    for _ in range(3):
        before = said(app, link)
        eventually(lambda: said(app, link) != before, "it says that it is there")  # noqa: B023


def test_what_a_living_process_has_put_comes_back_from_an_emptied_server(idle_app, another, link, eventually):
    idle_app.start_workers(1)
    quick = another.add_periodic_task(0.3, another.task(abs).s(-1), name="quick")
    slow = another.add_periodic_task(HOUR, another.task(abs).s(-2), name="slow")
    stays = another.add_periodic_task("0 3 * * *", another.task(abs).s(-3), name="stays", keep=True)
    rests = another.add_periodic_task(HOUR, another.task(abs).s(-4), name="rests")
    rests.pause()
    eventually(lambda: quick.count > 1, "it is fired")
    due = slow.next_run, stays.next_run
    await_looks(another, link, eventually)
    link.flushall()
    eventually(lambda: len(another.periodic_tasks()) == 4 and rests.paused, "all of them are there again")
    eventually(lambda: quick.count > 1 and quick.last().state == "SUCCESS", "it is fired again")
    assert (slow.next_run, stays.next_run) == due
    assert slow.facts.ends_with == "this process"
    rests.resume()
    assert rests.next_run is not None
    assert len(idle_app.periodic_tasks()) == 4
    another.close()
    assert [one.name for one in idle_app.periodic_tasks()] == ["stays"]


def test_what_somebody_else_has_removed_or_changed_does_not_come_back(idle_app, another, link, eventually):
    task = idle_app.task(abs)
    for name in ("removed", "changed", "own"):
        idle_app.add_periodic_task(HOUR, task.s(-1), name=name)
    await_looks(idle_app, link, eventually)
    assert another.periodic_task("removed").remove()
    another.add_periodic_task(2 * HOUR, another.task(abs).s(-2), name="changed")
    await_looks(idle_app, link, eventually)
    # A clock that was set takes these away, and so does a week.
    keys, client = idle_app.session.line.keys, idle_app.engine.periodics.client
    link.delete(keys.live_client(client), keys.said_there(client))
    await_looks(idle_app, link, eventually)
    assert [one.name for one in idle_app.periodic_tasks()] == ["own", "changed"]
    assert idle_app.periodic_task("changed").schedule == "every 2 h"
    await_looks(another, link, eventually)
    # And each sees to its own where the server is emptied.
    link.flushall()
    eventually(lambda: len(idle_app.periodic_tasks()) == 2, "both are there again")
    await_looks(idle_app, link, eventually)
    assert [one.name for one in idle_app.periodic_tasks()] == ["own", "changed"]
    assert idle_app.periodic_task("changed").schedule == "every 2 h"


def test_a_server_that_was_put_back_gets_what_was_put_since(idle_app, link, eventually):
    task = idle_app.task(abs)
    idle_app.add_periodic_task(HOUR, task.s(-1), name="changed")
    await_looks(idle_app, link, eventually)
    backup = {name: link.dump(name) for name in link.scan_iter("*")}
    idle_app.add_periodic_task(2 * HOUR, task.s(-1), name="changed")
    idle_app.add_periodic_task(2 * HOUR, task.s(-1), name="new")
    await_looks(idle_app, link, eventually)
    with link.pipeline() as together:
        together.flushall()
        for name, value in backup.items():
            together.restore(name, 0, value)
        together.execute()
    eventually(
        lambda: (
            {one.name: one.schedule for one in idle_app.periodic_tasks()}
            == {"changed": "every 2 h", "new": "every 2 h"}
        ),
        "both are as they were put last",
    )


def test_a_run_that_goes_on_keeps_the_next_one_out_as_before(idle_app, ledger, gate, link, eventually):
    def hold(ledger, gate):
        import pathlib
        import time

        with pathlib.Path(ledger).open("a") as file:
            file.write("begun\n")
        end = time.monotonic() + 60
        while not pathlib.Path(gate).exists() and time.monotonic() < end:
            time.sleep(0.005)
        with pathlib.Path(ledger).open("a") as file:
            file.write("ended\n")

    idle_app.start_workers(2, lease=2.0)
    held = idle_app.add_periodic_task(0.3, idle_app.task(hold).s(ledger.path, gate.path), name="held")
    eventually(ledger.lines, "it runs")
    await_looks(idle_app, link, eventually)
    link.flushall()
    began = time.monotonic()
    eventually(lambda: said(idle_app, link), "the loss is noticed")
    while time.monotonic() - began < ownperiodics._GRACE_S + 2:
        await_looks(idle_app, link, eventually)
        assert ledger.lines() == ["begun"]
    gate.open()
    eventually(lambda: held.exists and len(ledger.lines()) > 3, "it runs again")
    assert ledger.lines()[:4] == ["begun", "ended", "begun", "ended"]


def test_a_server_that_comes_back_empty_after_a_while(home, eventually):
    with KeyServer(find("bundled")) as server, App(broker=f"redis://127.0.0.1:{server.start().port}") as app:
        task = app.add_periodic_task(HOUR, app.task(abs).s(-1), name="hourly")
        due = task.next_run
        server.kill()
        with pytest.raises(Exception, match="broker"):
            app.check()
        server.start()
        eventually(lambda: task.exists, "it is there again")
        assert task.next_run == due


def forget_in_postgres(url):
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM nbtasks.periodic_tasks")
        connection.execute("DELETE FROM nbtasks.periodic_clients")


def forget_in_sqlite(url):
    import sqlite3

    with (
        contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as connection,
        connection,
    ):
        connection.execute("DELETE FROM periodic_tasks")
        connection.execute("DELETE FROM periodic_clients")


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request, home, tmp_path):
    """A broker's URL, and what has it forget periodic tasks as one does that was put back."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tasks.db", forget_in_sqlite
    return request.getfixturevalue("postgres_url"), forget_in_postgres


def test_other_brokers_that_were_put_back(database, eventually):
    url, forget = database
    with App(broker=url) as app:
        hourly = app.add_periodic_task(HOUR, app.task(abs).s(-1), name="hourly")
        rests = app.add_periodic_task(HOUR, app.task(abs).s(-2), name="rests", keep=True)
        rests.pause()
        due = hourly.next_run
        own = app.engine.periodics._own
        eventually(lambda: own._own[id_of("rests")].is_paused, "it has looked")
        forget(url)
        eventually(lambda: hourly.exists and rests.exists and rests.paused, "both are there again")
        assert hourly.next_run == due
