"""Orders to workers: a recorded one is of no use to somebody without the key."""

from __future__ import annotations

import itertools

import pytest
import redis

from nbtasks.core.orders import Order, Shutdown

SOON = 60.0
REFUSED = "was refused: it is from before, or was followed already"


@pytest.fixture
def give(app):
    """``give(what, ago_s, to)`` sends a signed order, and returns it as it lies on the server."""

    numbers = itertools.count(1)

    def send(what, ago_s=0.0, to=""):
        session = app.session
        order = Order(what, "somebody", next(numbers), session.clock.now() - ago_s, to)
        frame = session.codec.seal_order(order)
        sent = {"k": "c", "d": frame}
        with redis.Redis.from_url(app.connection.url) as client:
            client.xadd(session.line.keys.control, sent)
        return sent

    return send


def only_worker(app):
    """The App's one worker, when it is there."""
    workers = app.workers()
    return workers[0] if len(workers) == 1 else None


def test_an_order_is_followed_once(app, attack, give, eventually):
    attacker = attack(app)
    order = give(Shutdown(), to="somebody else")
    assert REFUSED not in app.local_workers.log_tail(50)
    attacker.redis.xadd(attacker.keys.control, order)
    eventually(lambda: REFUSED in app.local_workers.log_tail(50), "the copy is refused")


def test_an_order_is_for_one_worker(app, worker_on, give, eventually):
    mine = eventually(lambda: only_worker(app), "the worker is listed")
    with worker_on(app, "others"):
        ids = {one.id for one in app.workers()}
        (other,) = ids - {mine.id}
        give(Shutdown(cold=True), to=other)
        eventually(
            lambda: other not in {one.id for one in app.workers()}, "the other one follows it", within=60
        )
        assert app.task(len).delay("ab").get(timeout=SOON) == 2
        assert mine.id in {one.id for one in app.workers()}


@pytest.mark.parametrize("ago_s", [61.0, 3600.0, -61.0])
def test_an_order_from_another_time_is_refused(app, give, eventually, ago_s):
    give(Shutdown(), ago_s)
    eventually(lambda: REFUSED in app.local_workers.log_tail(50), "it is refused")
    assert app.task(len).delay("ab").get(timeout=SOON) == 2


def test_a_worker_that_was_started_since_does_not_follow_it(app, attack, give, eventually):
    attacker = attack(app)
    before = eventually(lambda: only_worker(app), "the worker is listed")
    order = give(Shutdown(cold=True))

    eventually(lambda: not app.local_workers.running, "the order is followed", within=60)
    app.start_workers(2)
    after = eventually(lambda: only_worker(app), "another worker is listed")
    assert after.id != before.id
    attacker.redis.xadd(attacker.keys.control, order)
    eventually(lambda: REFUSED in app.local_workers.log_tail(50), "the new worker refuses it")
    assert app.task(len).delay("ab").get(timeout=SOON) == 2
    assert only_worker(app).id == after.id


def test_a_worker_follows_no_old_order_whatever_the_server_is_said_to_be_ahead(idle_app, attack, eventually):
    """By how much its clock is ahead is not signed: it must not make a recorded order one of this minute."""
    session, attacker = idle_app.session, attack(idle_app)
    order = Order(Shutdown(cold=True), "somebody", 1, session.clock.now() - 3600.0)
    frame = session.codec.seal_order(order)
    attacker.redis.set(attacker.keys.ahead, 3_610_000)
    idle_app.start_workers(1)
    attacker.redis.xadd(attacker.keys.control, {"k": "c", "d": frame})
    eventually(lambda: REFUSED in idle_app.local_workers.log_tail(50), "it is refused")
    assert idle_app.task(len).delay("ab").get(timeout=SOON) == 2


def test_a_thousand_forged_orders_are_told_once(app, attack, give, eventually):
    attacker = attack(app)
    with attacker.redis.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.xadd(attacker.keys.control, {"k": "c", "d": b"%04d" % number})
        pipe.execute()
    give(Shutdown(), 3600.0)
    eventually(lambda: REFUSED in app.local_workers.log_tail(2000), "the last one is refused")
    assert app.local_workers.log_tail(2000).count("an order was refused") == 1


def test_stop_orders_of_another_call_stop_nothing(app, attack, ledger, gate, eventually):
    import time
    from pathlib import Path

    def held(path, gate):
        with Path(path).open("a") as file:
            file.write("runs\n")
        end = time.monotonic() + 60
        while not Path(gate).exists() and time.monotonic() < end:
            time.sleep(0.005)
        return "went on"

    attacker = attack(app)
    first = app.task(held).delay(ledger.path, gate.path)
    eventually(lambda: len(ledger.lines()) == 1, "it runs")
    first.revoke(terminate=True)
    eventually(lambda: attacker.redis.xlen(attacker.keys.control), "the order was given")
    orders = [fields for _, fields in attacker.redis.xrange(attacker.keys.control) if fields[b"k"] == b"c"]
    second = app.task(held).delay(ledger.path, gate.path)
    eventually(lambda: len(ledger.lines()) == 2, "the next one runs")
    for fields in orders * 5:
        attacker.redis.xadd(attacker.keys.control, fields)
    gate.open()
    assert second.get(timeout=SOON) == "went on"
