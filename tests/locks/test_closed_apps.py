"""Locks of an App that is closed: held and waited for meanwhile. They are free then, and nothing is left open."""

from __future__ import annotations

import threading

import pytest

from nbtasks import App, ConfigError
from nbtasks.exceptions import LockLost


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, home):
    """A broker."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{home}/locks.db"


def clients(url):
    """How many connections others have there; of a file nobody can tell."""
    import psycopg

    if not url.startswith("postgresql"):
        return 0
    with psycopg.connect(url) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return connection.execute(asked).fetchone()[0]


def test_a_lock_whose_app_is_closed_is_free_and_who_holds_it_is_told(url):
    app = App(broker=url)
    lock = app.lock("db")
    with pytest.raises(LockLost, match="its App was closed"), lock as hold:  # noqa: PT012 - its end raises it
        app.close()
        assert hold.is_lost
        with App(broker=url) as another, another.lock("db", timeout=0) as taken:
            assert taken.token > hold.token


@pytest.mark.parametrize("chance", range(6))
def test_locks_that_are_taken_and_given_back_while_an_app_is_closed(url, chance, eventually):
    app, others = App(broker=url), App(broker=url)
    _ = app.engine, others.engine
    taken, wrong = threading.Semaphore(0), []

    def take() -> None:
        try:
            while True:
                with app.lock("db"):
                    taken.release()
        except (ConfigError, LockLost):
            pass
        except BaseException as error:  # noqa: BLE001 - whatever it is
            wrong.append(error)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(chance):
        assert taken.acquire(timeout=60)
    app.close()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert wrong == []
    with others.lock("db", timeout=10):
        pass
    others.close()
    eventually(lambda: clients(url) == 0, "no connection is left open")
