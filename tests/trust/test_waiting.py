"""Why a call waits, each reason in the live system, with the next step."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.local.connection import Connection
from nbtasks.wire.signing import new_key

SOON = 60.0


def held(path, gate):
    """Task code: say that it runs, then wait."""
    with Path(path).open("a") as file:
        file.write("runs\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return "went on"


@contextmanager
def with_key(app, *keys):
    """An App on the same server that has other keys."""
    connection = app.connection
    with App(connection=Connection(connection.url, keys, connection.namespace, "test")) as other:
        yield other


def test_no_worker_on_this_queue(idle_app):
    idle_app.start_workers(1)
    handle = idle_app.task(len).apply_async(("ab",), queue="gpu")
    assert handle.why_pending() == "no worker listens on queue 'gpu': %workers start -q gpu"
    assert idle_app.task(len).delay("ab").get(timeout=SOON) == 2
    handle.revoke()
    assert handle.why_pending() is None


def test_all_busy_and_how_many_are_ahead(app, ledger, gate, eventually):
    holding = app.task(held).starmap([(ledger.path, gate.path)] * 2, chunk=1)
    eventually(lambda: len(ledger.lines()) == 2, "both slots are busy")
    first = app.task(len).delay("a")
    eventually(first.why_pending, "the workers' list shows it")
    assert first.why_pending() == "all 2 slots are busy, it is next; more workers would take it now"
    others = []
    for _ in range(4):
        others.append(app.task(len).delay("a"))
        app.session.flush()  # so that each goes on its own
    last = app.task(len).apply_async(("a",), priority=0)
    app.session.flush()
    ahead = "all 2 slots are busy, 5 calls of 'len' are ahead; wait, or start more workers"
    eventually(lambda: last.why_pending() == ahead, "it says what is ahead")
    urgent = app.task(len).apply_async(("a",), priority=9)
    app.session.flush()
    assert "it is next" in urgent.why_pending()
    with pytest.raises(TimeoutError, match="PENDING: all 2 slots are busy"):
        last.get(timeout=0.01)
    gate.open()
    holding.get(timeout=SOON)
    assert [one.get(timeout=SOON) for one in (first, *others, last, urgent)] == [1] * 7


def test_all_busy_with_calls_of_ours_is_known_at_once(idle_app, ledger, gate, eventually):
    idle_app.start_workers(2, lease=60)
    holding = idle_app.task(held).starmap([(ledger.path, gate.path)] * 2, chunk=1)
    eventually(lambda: len(holding.batch.running) == 2, "both are told to run")
    waiting = idle_app.task(len).delay("a")
    assert waiting.why_pending() == "all 2 slots are busy, it is next; more workers would take it now"
    gate.open()
    assert waiting.get(timeout=SOON) == 1


def test_a_worker_says_soon_that_it_is_busy_and_free_again(idle_app, ledger, gate, eventually):
    """Sooner than it renews its lease, for clients that have not submitted what runs."""
    idle_app.start_workers(2, lease=3600)
    idle_app.task(held).starmap([(ledger.path, gate.path)] * 2, chunk=1)
    eventually(lambda: len(ledger.lines()) == 2, "both slots are busy")
    with App(connection=idle_app.connection) as other:
        waiting = other.task(len).delay("a")
        eventually(lambda: "busy" in (waiting.why_pending() or ""), "the reason is told")
        gate.open()
        assert waiting.get(timeout=SOON) == 1
        eventually(lambda: other.workers()[0].slots_busy < 2, "it is told that slots are free")


def test_another_key(idle_app, eventually):
    handle = idle_app.task(len).delay("ab")
    with with_key(idle_app, new_key()) as other:
        other.start_workers(1, name="stranger")
        theirs, ours = other.session.keyring.id, idle_app.session.keyring.id
        why = handle.why_pending()
        assert f"stranger has another key ({theirs}, here {ours}): give both sides the same one" in why
        assert "%workers start starts one here" in why
        assert not handle.ready()
    idle_app.start_workers(1)
    assert handle.get(timeout=SOON) == 2


def test_another_python(idle_app, attack):
    """Another Python is not at hand everywhere: what its worker would show of itself is written for it."""
    import json

    attacker = attack(idle_app)
    idle_app.start_workers(1)
    info = attacker.redis.get(attacker.keys.worker_info(idle_app.workers()[0].id))
    data = {**json.loads(info), "id": "old", "name": "old", "python": "3.7.1"}
    idle_app.stop_workers()
    attacker.redis.set(attacker.keys.worker_info("old"), json.dumps(data), px=60_000)
    attacker.redis.zadd(attacker.keys.workers, {"old": time.time() * 1000})
    handle = idle_app.task(len).delay("ab")
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert handle.why_pending() == (
        f"no worker that fits listens: old runs Python 3.7.1, calls from here need {here}. "
        f"%workers start starts one here, with Python {here} and this key"
    )


def test_scheduled_for_a_time(idle_app):
    soon = idle_app.task(len).apply_async(("ab",), countdown=30)
    assert soon.why_pending().startswith("scheduled for ")
    later = idle_app.task(len).apply_async(("ab",), countdown=3 * 86400)
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + 3 * 86400))
    assert later.why_pending().startswith(f"scheduled for {day} ")


def test_a_worker_that_is_silent(idle_app, eventually):
    idle_app.start_workers(1, lease=1.0, name="sleepy")
    (info,) = idle_app.workers()
    os.kill(info.pid, signal.SIGSTOP)
    try:
        handle = idle_app.task(len).apply_async(("ab",), queue="default", countdown=0.1)
        said = eventually(
            lambda: "has not been heard of" in (handle.why_pending() or "") and handle.why_pending(),
            "it is noticed that the worker is silent",
        )
        assert said.startswith("worker sleepy has not been heard of for ")
        assert "start another: %workers start" in said
    finally:
        os.kill(info.pid, signal.SIGCONT)
    assert handle.get(timeout=SOON) == 2


def test_refused_and_only_shown_to_who_has_not_submitted_it(
    shared_app, attack, flip, restarted, worker_on, eventually
):
    attacker = attack(shared_app)
    with App(connection=shared_app.connection) as gone:
        handle = gone.task(len).apply_async(("ab",), queue="aside")
        ((entry_id, fields),) = attacker.entries("aside") or eventually(lambda: attacker.entries("aside"))
        batch = handle.id
    attacker.replace("aside", entry_id, d=flip(fields[b"d"]))
    again = restarted(shared_app).AsyncResult(batch)
    with worker_on(shared_app, "aside"):
        said = eventually(again.why_pending, "the refusal is told")
    assert "a worker has refused it: a record was changed after it was signed" in said
    assert said.endswith("submit the call anew")
    again.revoke()
