"""What lies in the server, and for how long: unfinished work has no end, finished work has one."""

from __future__ import annotations

import pytest
import redis

from nbtasks import App

SOON = 60
#: What stays while anybody uses the namespace; it does not grow with the work.
STANDING = {"addresses", "audited", "workers", "ctl", "ev", "batches", "fu"}


def held(x, path):
    import pathlib
    import time

    while not pathlib.Path(path).exists():
        time.sleep(0.01)
    return x


@pytest.fixture
def raw(app):
    with redis.Redis.from_url(app.connection.url, single_connection_client=True) as client:
        yield client


@pytest.fixture
def lives(app, raw):
    """``lives()`` returns key, without its root -> milliseconds to live, -1 for no end."""
    root = app.session.line.keys.root

    def look():
        return {name.decode().removeprefix(root): raw.pttl(name) for name in raw.scan_iter(f"{root}*")}

    return look


def kind(name):
    return name.split(":")[0]


def test_unfinished_work_has_no_end_and_finished_work_has_one(app, lives, gate, eventually):
    assert app.task(len).delay(b"x" * 3_000_000).get(SOON) == 3_000_000
    group = app.task(held).starmap([(x, gate.path) for x in range(20)])
    eventually(lambda: group.batch.running, "calls run", within=SOON)
    of_group = {name: ttl for name, ttl in lives().items() if group.id in name}
    assert of_group
    assert set(of_group.values()) == {-1}
    assert {ttl for name, ttl in lives().items() if kind(name) == "f"} >= {-1}
    gate.open()
    assert group.get(SOON) == list(range(20))

    def endless():
        return sorted(
            name
            for name, ttl in lives().items()
            if ttl == -1 and name not in STANDING and kind(name) not in {"q", "z", "d", "w"}
        )

    eventually(lambda: endless() == [], f"without an end: {endless()}", within=SOON)
    of_group = {kind(name): ttl for name, ttl in lives().items() if group.id in name}
    assert {"b", "st", "r"} <= set(of_group)
    assert all(0 < ttl <= 24 * 3600 * 1000 for ttl in of_group.values())


def test_a_result_lives_as_long_as_was_asked(home):
    with App(result_expires="90s") as app:
        app.start_workers(1)
        call = app.task(len).delay("abc")
        assert call.get(SOON) == 3
        with redis.Redis.from_url(app.connection.url) as client:
            assert 0 < client.pttl(app.session.line.keys.batch(call.id)) <= 90_000


def test_queues_are_empty_after_the_work(app, raw, lives, eventually):
    assert app.task(abs).map(range(-3000, 0)).get(SOON) == list(range(3000, 0, -1))
    assert [app.task(len).apply_async(("ab",), countdown=0.1).get(SOON) for _ in range(3)] == [2] * 3

    def left():
        root = app.session.line.keys.root
        names = lives()
        waiting = {name: raw.xlen(root + name) for name in names if kind(name) == "q"}
        later = {name: raw.zcard(root + name) for name in names if kind(name) == "z"}
        return {name: number for name, number in {**waiting, **later}.items() if number}

    eventually(lambda: left() == {}, "no entry is left", within=SOON)


def test_a_function_stays_while_a_batch_needs_it_and_goes_after_the_last(app, raw, gate, eventually):
    task = app.task(held)
    first, second = task.delay(1, "/"), task.delay(2, gate.path)
    assert first.get(SOON) == 1
    eventually(lambda: second.state == "STARTED", "the second runs", within=SOON)
    keys = app.session.line.keys
    functions = set(raw.scan_iter(keys.function("*")))
    assert [raw.pttl(name) for name in functions] == [-1]
    gate.open()
    assert second.get(SOON) == 2
    eventually(lambda: raw.pttl(next(iter(functions))) > 0, "the function has an end", within=SOON)
    # Used again, it has none.
    third = task.delay(3, "/nowhere")
    eventually(lambda: third.state == "STARTED", "the third runs", within=SOON)
    assert raw.pttl(next(iter(functions))) == -1
    third.revoke(terminate=True)
    assert third.until_ready(SOON)


def test_forgetting_drops_the_results(app, raw, lives, eventually):
    group = app.task(bytes).map([10] * 500)
    group.get(SOON)
    group.forget()
    eventually(
        lambda: not [name for name in lives() if group.id in name], "nothing of it is left", within=SOON
    )
    assert raw.zscore(app.session.line.keys.batches, group.id) is None


def test_the_events_that_were_read_are_dropped(app, raw, eventually):
    task = app.task(abs)
    for x in range(600):
        assert task.delay(-x).get(SOON) == x
    streams = list(raw.scan_iter(app.session.line.keys.events("*")))
    assert sum(raw.xlen(name) for name in streams) < 500


@pytest.fixture
def entries(raw, lives):
    """``entries()`` returns how many entries and delayed calls lie in the server."""

    def count():
        root = next(raw.scan_iter("nb:*:addresses")).decode().removesuffix("addresses")
        names = [root + name for name in lives()]
        return sum(
            raw.xlen(name) if kind(name.removeprefix(root)) == "q" else raw.zcard(name)
            for name in names
            if kind(name.removeprefix(root)) in {"q", "z"}
        )

    return count


def test_entries_of_a_revoked_map_do_not_wait_for_a_worker(app, entries, eventually):
    group = app.task(abs).map(range(20_000), queue="nobody", chunk=20)
    later = app.task(abs).map(range(300), queue="nobody", chunk=1, countdown=3600)
    stays = app.task(abs).apply_async((1,), queue="nobody")
    app.session.flush()
    assert entries() == 1000 + 300 + 1
    group.revoke()
    assert entries() == 300 + 1
    later.revoke()
    assert entries() == 1
    stays.revoke()
    # Revokes of single calls are given time to go together.
    eventually(lambda: entries() == 0, "its entry is gone")
    assert {one.state for one in (group[0], group[19_999], later[299], stays)} == {"REVOKED"}


def test_entries_of_calls_that_are_revoked_and_forgotten(app, entries, eventually):
    calls = [app.task(abs).apply_async((n,), queue="nobody", expires=600) for n in range(5)]
    app.session.flush()
    for call in calls:
        call.revoke()
        call.forget()
    eventually(lambda: entries() == 0, "all are gone")


def test_entries_of_calls_that_were_revoked_one_by_one_go_with_the_last(app, entries, eventually):
    group = app.task(abs).map(range(4), queue="nobody", chunk=2)
    for one in group:
        assert entries() == 2
        one.revoke()
    eventually(lambda: entries() == 0, "all are gone")
