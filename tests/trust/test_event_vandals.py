"""Somebody without the key writes into the stream of events: who reads it sees what is true, all the same."""

from __future__ import annotations

from nbtasks.monitor.monitor import Monitor

SOON = 60.0


def test_junk_hides_no_event(idle_app, attack):
    attacker = attack(idle_app)
    junk = attacker.redis.pipeline(transaction=False)
    for place in range(1_000):
        junk.xadd(attacker.keys.happened, {"h": f"junk {place}"})
    junk.execute()
    with idle_app.events("task-sent", since="start", timeout=SOON) as stream:
        handle = idle_app.task(len, name="builtin.len").delay("ab")
        assert next(iter(stream)).uuid == handle.id
    # At once, and in one look.
    assert [event.uuid for event in idle_app.events("task-sent", since="start", timeout=0)] == [handle.id]
    monitor = Monitor(idle_app)
    try:
        assert [row["id"] for row in monitor.page("tasks")["rows"]] == [handle.id]
    finally:
        monitor.close()


def test_a_result_that_is_said_to_be_new_many_times_is_told_once(app, attack):
    attacker, stream = attack(app), app.session.line.keys.happened
    handle = app.task(len, name="builtin.len").delay("ab")
    assert handle.get(SOON) == 2
    with app.events("task-succeeded", since="start", timeout=SOON) as events:
        assert next(iter(events)).uuid == handle.id
    for id_, fields in attacker.redis.xrange(stream):
        attacker.redis.xdel(stream, id_)
        attacker.redis.xadd(stream, {**fields, b"w": b"0+1 " * 1_000} if b"h" in fields else fields)
    told = [event.uuid for event in app.events("task-succeeded", since="start", timeout=0)]
    assert told == [handle.id]
