"""Each connection to a PostgreSQL ends with the App that has made it, or before."""

from __future__ import annotations

import gc
import multiprocessing
import threading

import psycopg
import pytest

from nbtasks import App
from nbtasks.exceptions import ConfigError
from nbtasks.monitor.monitor import Monitor
from tests.servers.postgresql import PgBouncer


@pytest.fixture
def backends(postgres_url):
    """``backends()`` returns which processes of the server serve nbtasks, in this database."""
    with psycopg.connect(postgres_url, autocommit=True) as looking:

        def pids():
            rows = looking.execute(
                "SELECT pid FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'nbtasks'"
            )
            return {pid for (pid,) in rows}

        yield pids


@pytest.fixture
def connected(backends):
    """``connected()`` returns how many those are."""
    return lambda: len(backends())


def test_all_of_them_end_with_the_app(postgres_url, new_app, connected, eventually):
    app = new_app(postgres_url)
    app.start_workers(1)
    assert app.task(abs).delay(-1).get(timeout=60) == 1
    monitor = Monitor(app)
    with app.lock("one", timeout=60):
        assert [name for name in monitor.names if monitor.page(name).get("problem") and name != "call"] == []
    events = app.events(since="start")
    events.next_batch(0)
    app.close()
    # What was not closed by itself is still referred to here.
    assert monitor.tallies()
    assert not events.is_closed
    eventually(lambda: connected() == 0)


def test_a_reader_of_events_that_was_dropped_ends_its_own(postgres_url, new_app, connected, eventually):
    app = new_app(postgres_url)
    app.start_workers(1)
    assert app.task(abs).delay(-1).get(timeout=60) == 1
    events = iter(app.events(since="start"))
    assert next(events).type
    had = connected()
    del events
    gc.collect()
    eventually(lambda: connected() < had)


def test_who_waits_for_a_lock_when_the_app_ends_leaves_none(postgres_url, new_app, connected, eventually):
    other = new_app(postgres_url)
    app = App("waits", broker=postgres_url, namespace=other.connection.namespace)
    said = []

    def wait():
        with pytest.raises(ConfigError, match="closed while lock 'one'") as caught, app.lock("one"):
            pass
        said.append(caught.value)

    with other.lock("one"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually(lambda: Monitor(other).page("locks")["locks"][0]["waiting"] == 1)
        app.close()
        waiting.join(60)
    assert said
    other.close()
    eventually(lambda: connected() == 0)


def test_a_fork_leaves_those_of_its_parent_alone(postgres_url, new_app, backends):
    app = new_app(postgres_url)
    events = app.events(since="start")
    events.next_batch(0)
    with app.lock("one") as hold:
        had = backends()
        child = multiprocessing.get_context("fork").Process(target=_use_and_drop, args=(app,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert not hold.is_lost
        # Another number would be a connection that was made anew, for the child had ended the first one.
        assert events.next_batch(0) == []
        assert app.workers() == []
        assert backends() >= had


def _use_and_drop(app):
    gc.collect()
    with app.lock("two", timeout=60):
        pass
    app.close()
    gc.collect()


def test_through_a_pooler_that_wakes_nobody(postgres_server, start_server, new_app):
    pooler = start_server(PgBouncer, postgres_server)
    with postgres_server.database() as name:
        app = new_app(pooler.url(name))
        app.start_workers(1)
        assert app.task(abs).map(range(-200, 0)).get(timeout=60) == list(range(200, 0, -1))
        app.close()
