"""What holds the key or a password stays in its process, however a task has come to it."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace

import pytest
import redis

from nbtasks import NotPicklable
from nbtasks.broker.redis.link import Link
from nbtasks.client.invitation import Invitation

SOON = 60.0
SECRETS = {
    "App": lambda app: app,
    "Connection": lambda app: app.connection,
    "Session": lambda app: app.session,
    "Keyring": lambda app: app.session.keyring,
    "Link": lambda app: Link(app.connection.url, app.connection.address),
    "Invitation": lambda app: Invitation(app.connection),
    "LocalWorkers": lambda app: app.local_workers,
    "Redis": lambda app: redis.Redis.from_url("redis://nobody:of-ours@localhost:1"),
    "ConnectionPool": lambda app: redis.ConnectionPool.from_url("redis://nobody:of-ours@localhost:1"),
}
WAYS = {
    "argument": lambda app, one: app.task(lambda value: 0).delay(one),
    "keyword": lambda app, one: app.task(lambda value: 0).delay(value=one),
    "nested": lambda app, one: app.task(lambda value: 0).delay([{"deep": (one,)}]),
    "attribute": lambda app, one: app.task(lambda value: 0).delay(SimpleNamespace(inside=one)),
    "map": lambda app, one: app.task(lambda value: 0).map([1, one]),
    "closure": lambda app, one: app.task(lambda: one).delay(),
    "default": lambda app, one: app.task(lambda value=one: value).delay(),
    "method": lambda app, one: app.task(lambda call: 0).delay(one.__repr__),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", SECRETS)
def test_what_holds_a_secret_refuses_to_travel(shared_app, kind, way):
    with pytest.raises(NotPicklable, match=rf"{kind}.* stays in this process: .*\.? ?\w+"):
        WAYS[way](shared_app, SECRETS[kind](shared_app))


def test_a_global_is_named(shared_app):
    space = {"place": shared_app.connection}
    exec("def told(): return place.address", space)
    with pytest.raises(
        NotPicklable, match=r"told: place \(Connection\) stays in this process: it holds the key"
    ):
        shared_app.task(space["told"]).delay()


@pytest.mark.parametrize("library", [pickle.dumps, copy.deepcopy, lambda one: one.__reduce_ex__(2)])
def test_nor_by_another_library(shared_app, library):
    for kind in ("App", "Connection", "Keyring", "Session", "Link", "Invitation"):
        with pytest.raises(NotPicklable, match=f"{kind} stays in this process"):
            library(SECRETS[kind](shared_app))


def results():
    """Return functions whose results or errors would hold a secret of the worker."""

    def connection():
        from nbtasks import App

        return App.current().connection

    def nested():
        from nbtasks import App

        return {"app": [App.current()]}

    def error():
        from nbtasks import App

        problem = ValueError("see", App.current().connection)
        problem.app = App.current()
        raise problem

    return connection, nested, error


def test_a_result_holds_none_either(shared_app):
    connection, nested, error = map(shared_app.task, results())
    for one in (connection, nested):
        with pytest.raises(NotPicklable, match="stays in this process: it holds the key"):
            one.delay().get(timeout=SOON)
    call = error.delay()
    found = call.get(timeout=SOON, propagate=False)
    key = shared_app.connection.keys[0]
    assert (type(found), "Connection" in str(found)) == (ValueError, True)
    # Nor do the bytes that the server has of it.
    assert key not in bytes(call.batch.record(0)[1])
    assert key not in pickle.dumps(found)
