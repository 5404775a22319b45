"""A signed chunk is copied by somebody without the key: what is over is not run again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nbtasks import TaskRevokedError
from nbtasks.core.lanenames import LANES

SOON = 60.0
LEFT_OUT = "left out an entry"


def note(path, text):
    """Task code: write into a ledger."""
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    return text


def held(path, gate, text):
    """Task code: say that it runs, then wait."""
    note(path, text)
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return text


def is_empty(attacker, *queues):
    """Whether nothing waits or is held in a queue."""
    return not any(attacker.entries(queue, lane) for queue in queues or ["default"] for lane in LANES)


def recorded(attacker, queue="aside"):
    """The fields of every entry that waits in a queue, as somebody sees them who reads along."""
    return [fields for _, fields in attacker.entries(queue)]


@pytest.mark.parametrize(
    "lane", [lane if lane in "mH" else pytest.param(lane, marks=pytest.mark.long) for lane in LANES]
)
def test_a_copy_that_an_idle_worker_takes_is_not_run(idle_app, attack, ledger, eventually, lane):
    attacker = attack(idle_app)
    handle = idle_app.task(note).delay(ledger.path, "once")
    (fields,) = recorded(attacker, "default")
    idle_app.start_workers(1)
    assert handle.get(timeout=SOON) == "once"
    eventually(lambda: is_empty(attacker), "the entry is worked off")
    attacker.redis.xadd(attacker.lane(lane=lane), fields)
    eventually(lambda: LEFT_OUT in idle_app.local_workers.log_tail(50), "the copy is noticed")
    assert handle.id in idle_app.local_workers.log_tail(50)
    assert is_empty(attacker)
    assert ledger.lines() == ["once"]


def test_copies_that_a_busy_worker_takes_are_not_run(idle_app, attack, ledger, gate, eventually):
    attacker = attack(idle_app)
    group = idle_app.task(note).starmap([(ledger.path, x) for x in range(40)], chunk=4)
    chunks = recorded(attacker, "default")
    assert len(chunks) == 10
    idle_app.start_workers(1)
    group.get(timeout=SOON)
    holding = idle_app.task(held).delay(ledger.path, gate.path, "busy")
    eventually(lambda: "busy" in ledger.lines(), "the worker is busy")
    for fields in chunks * 20:
        attacker.redis.xadd(attacker.lane(), fields)
    last = idle_app.task(note).delay(ledger.path, "last")
    gate.open()
    assert (holding.get(timeout=SOON), last.get(timeout=SOON)) == ("busy", "last")
    eventually(lambda: is_empty(attacker), "the copies are gone")
    assert sorted(ledger.lines()) == sorted([*map(str, range(40)), "busy", "last"])
    assert group.get(timeout=SOON) == list(range(40))


def test_a_copy_of_a_part_that_has_ended_is_not_run_while_the_rest_goes_on(
    idle_app, attack, ledger, gate, eventually
):
    attacker = attack(idle_app)
    Path(gate.path + "-open").touch()
    gates = [gate.path + "-open", gate.path]
    group = idle_app.task(held).starmap([(ledger.path, gates[x], x) for x in range(2)], chunk=1)
    first = next(fields for fields in recorded(attacker, "default") if fields[b"i"] == b"0")
    idle_app.start_workers(2)
    eventually(lambda: len(ledger.lines()) == 2 and group[0].ready(), "one has ended, one runs")
    attacker.redis.xadd(attacker.lane(), first)
    eventually(lambda: LEFT_OUT in idle_app.local_workers.log_tail(50), "the copy is noticed")
    gate.open()
    assert group.get(timeout=SOON) == [0, 1]
    assert sorted(ledger.lines()) == ["0", "1"]


def test_a_copy_of_what_was_forgotten_is_not_run(idle_app, attack, ledger, eventually):
    attacker = attack(idle_app)
    handle = idle_app.task(note).delay(ledger.path, "once")
    (fields,) = recorded(attacker, "default")
    idle_app.start_workers(1)
    handle.get(timeout=SOON)
    handle.forget()
    eventually(lambda: not attacker.redis.exists(attacker.keys.batch(handle.batch.id)), "it is forgotten")
    attacker.redis.xadd(attacker.lane(), fields)
    eventually(lambda: LEFT_OUT in idle_app.local_workers.log_tail(50), "the copy is noticed")
    assert ledger.lines() == ["once"]


def test_a_copy_of_what_has_expired_is_not_run(idle_app, attack, ledger, eventually):
    attacker = attack(idle_app)
    handle = idle_app.task(note).apply_async((ledger.path, "late"), expires=1.0)
    (fields,) = recorded(attacker, "default")
    attacker.redis.xadd(attacker.lane(), fields)
    eventually(lambda: idle_app.session.clock.now() > handle.batch.created_at + 1.2, "its time is over")
    idle_app.start_workers(1)
    with pytest.raises(TaskRevokedError, match="expired"):
        handle.get(timeout=SOON)
    attacker.redis.xadd(attacker.lane(), fields)
    eventually(lambda: is_empty(attacker), "the copies are gone")
    assert ledger.lines() == []


def test_a_copy_of_what_was_revoked_is_not_run(idle_app, attack, ledger, eventually):
    attacker = attack(idle_app)
    handle = idle_app.task(note).delay(ledger.path, "revoked")
    (fields,) = recorded(attacker, "default")
    handle.revoke()
    attacker.redis.xadd(attacker.lane(), fields)
    idle_app.start_workers(1)
    eventually(lambda: is_empty(attacker), "the copies are gone")
    assert handle.state == "REVOKED"
    assert ledger.lines() == []


def test_a_copy_made_while_the_call_runs_may_run_it_again_and_the_first_result_stays(
    idle_app, attack, ledger, gate, eventually
):
    """The limit of what is promised: docs/security.md says so."""
    attacker = attack(idle_app)
    handle = idle_app.task(held).delay(ledger.path, gate.path, "twice")
    (fields,) = recorded(attacker, "default")
    idle_app.start_workers(2)
    eventually(lambda: len(ledger.lines()) == 1, "it runs")
    attacker.redis.xadd(attacker.lane(), fields)
    eventually(lambda: len(ledger.lines()) == 2, "it runs twice")
    gate.open()
    assert handle.get(timeout=SOON) == "twice"
    eventually(lambda: is_empty(attacker), "both are worked off")
    assert len(attacker.records(handle.id)) == 1


def test_an_entry_whose_batch_is_something_else_holds_nobody_up(app, attack, ledger, eventually):
    attacker = attack(app)
    handle = app.task(note).apply_async((ledger.path, "aside"), queue="aside")
    (fields,) = recorded(attacker)
    attacker.redis.set(attacker.keys.batch("f" * 20), "no hash")
    for lane in LANES:
        attacker.redis.xadd(attacker.lane(lane=lane), {**fields, b"b": b"f" * 20})
    assert app.task(note).delay(ledger.path, "mine").get(timeout=SOON) == "mine"
    eventually(lambda: is_empty(attacker), "the entries are gone")
    assert ledger.lines() == ["mine"]
    handle.revoke()
