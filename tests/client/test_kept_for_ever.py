"""Results that are to be kept for ever are read after everybody has left, and the server knows no end of them."""

from __future__ import annotations

import secrets
import time

import psycopg
import pytest
import redis

from nbtasks import App, chord

SOON = 100.0
NINETY_NINE_YEARS_S = 99 * 365.0 * 86_400


@pytest.fixture(params=["valkey", "postgresql"])
def app(request, home):
    """An App with one worker, which keeps results for ever, by its argument or by its setting."""
    if request.param == "valkey":
        app = App(result_expires=None)
    else:
        namespace = f"t{secrets.token_hex(4)}"
        app = App(broker=request.getfixturevalue("postgres_url"), namespace=namespace, key="A" * 43)
        app.conf.result_expires = None
    app.start_workers(1)
    yield app
    app.close()


def ends_of(app):
    """Return in how many seconds each batch that the server has is gone."""
    url = app.connection.url
    if url.startswith("postgresql"):
        with psycopg.connect(url) as server:
            return [
                end and end / 1000 - time.time()
                for (end,) in server.execute("SELECT expires FROM nbtasks.batches")
            ]
    with redis.Redis.from_url(url) as server:
        return [server.pttl(key) / 1000 for key in server.scan_iter("nb:*:b:*")]


def test_results_stay(app, eventually):
    add = app.task(lambda x, y: x + y)
    total = app.task(sum)
    one = add.delay(1, 2)
    joined = chord([add.s(n, n) for n in range(4)])(total.s())
    assert one.get(timeout=SOON) == 3
    assert joined.get(timeout=SOON) == 12
    eventually(
        lambda: all(end and end > NINETY_NINE_YEARS_S for end in ends_of(app)),
        f"all are kept for a hundred years: {ends_of(app)}",
        within=SOON,
    )
    assert len(ends_of(app)) >= 3
    with App(connection=app.connection) as other:
        assert [other.AsyncResult(id).get(timeout=SOON) for id in (one.id, joined.id)] == [3, 12]


def test_none_and_nought_are_for_ever_as_in_celery(home):
    for value in (None, 0):
        with App(result_expires=value) as app:
            assert app.conf.result_expires > NINETY_NINE_YEARS_S
    with App() as app:
        assert app.conf.result_expires == 86_400
