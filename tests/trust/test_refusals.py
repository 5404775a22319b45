"""What a worker refuses is told to the client, which sends it again; a call never just hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbtasks import SignatureMismatch

SOON = 60.0


def note(path, text):
    """Task code: write into a ledger."""
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    return text


def test_a_changed_chunk_of_a_map_is_sent_again_and_each_call_runs_once(
    shared_app, attack, flip, worker_on, ledger
):
    attacker = attack(shared_app)
    group = (
        shared_app.task(note)
        .with_options(queue="maps")
        .starmap([(ledger.path, x) for x in range(40)], chunk=10)
    )
    (_, (entry_id, fields), *_) = attacker.entries("maps")
    attacker.replace("maps", entry_id, d=flip(fields[b"d"]))
    with worker_on(shared_app, "maps") as other:
        assert group.get(timeout=SOON) == list(range(40))
        log = other.local_workers.log_tail(50)
    assert sorted(map(int, ledger.lines())) == list(range(40))
    assert "refused: a record was changed after it was signed" in log
    assert f"batch {group.id}" in log
    assert "maps@" in log


def test_it_is_given_up_after_some_times(shared_app, attack, worker_on, eventually):
    attacker = attack(shared_app)
    handle = shared_app.task(len).apply_async(("ab",), queue="never")
    with worker_on(shared_app, "elsewhere"):
        for _ in range(4):
            ((entry_id, fields),) = eventually(lambda: attacker.entries("never"), "it is in its queue")
            attacker.redis.xdel(attacker.lane("never"), entry_id)
            attacker.redis.xadd(attacker.lane("elsewhere"), fields)
        with pytest.raises(SignatureMismatch, match=r"refused by the workers.*see who has access"):
            handle.get(timeout=SOON)
    assert handle.state == "FAILURE"
    assert not attacker.entries("never")


def test_something_else_in_the_place_of_a_function(shared_app, attack, worker_on):
    attacker = attack(shared_app)

    def mine(x):
        return f"in place {x}"

    handle = shared_app.task(mine).apply_async((1,), queue="functions")
    shared_app.session.flush()
    name = attacker.keys.function(handle.batch.parcel.function)
    attacker.redis.delete(name)
    attacker.redis.sadd(name, "no function")
    with worker_on(shared_app, "functions"):
        assert handle.get(timeout=SOON) == "in place 1"


def test_something_else_in_the_place_of_a_large_value(shared_app, attack, worker_on):
    attacker = attack(shared_app)
    handle = shared_app.task(len).apply_async((b"x" * 200_000,), queue="values")
    shared_app.session.flush()
    (name,) = attacker.redis.smembers(attacker.keys.batch_blobs(handle.batch.id))
    attacker.redis.delete(name)
    attacker.redis.sadd(name, "no value")
    with worker_on(shared_app, "values"):
        assert handle.get(timeout=SOON) == 200_000


def test_an_entry_under_another_batch_or_none_is_sent_again(shared_app, attack, worker_on):
    attacker = attack(shared_app)
    handles = []
    for n in range(2):
        handles.append(shared_app.task(len).apply_async(("x" * n,), queue="displaced"))
        shared_app.session.flush()  # so that each goes on its own
    (one, _), (other, _) = attacker.entries("displaced")
    attacker.replace("displaced", one, b="f" * 20)
    attacker.replace("displaced", other, b=handles[0].id)
    with worker_on(shared_app, "displaced"):
        assert [handle.get(timeout=SOON) for handle in handles] == [0, 1]


def test_what_may_run_only_once_is_not_sent_again(shared_app, attack, flip, worker_on, ledger):
    attacker = attack(shared_app)
    once = shared_app.task(note, acks_late=False)
    handle = once.apply_async((ledger.path, "once"), queue="once")
    ((entry_id, fields),) = attacker.entries("once")
    attacker.replace("once", entry_id, d=flip(fields[b"d"]))
    with worker_on(shared_app, "once"), pytest.raises(SignatureMismatch, match="changed after it was signed"):
        handle.get(timeout=SOON)
    assert ledger.lines() == []


def test_a_chunk_in_another_queue_is_refused_there_and_sent_again_to_its_own(
    shared_app, attack, worker_on, ledger, eventually
):
    attacker = attack(shared_app)
    handle = shared_app.task(note).apply_async((ledger.path, "here"), queue="here")
    ((entry_id, fields),) = attacker.entries("here")
    attacker.redis.xdel(attacker.lane("here"), entry_id)
    with worker_on(shared_app, "there") as other:
        attacker.redis.xadd(attacker.lane("there"), fields)
        eventually(lambda: "stands where one of" in other.local_workers.log_tail(50), "it is refused")
        eventually(lambda: attacker.entries("here"), "it is back in its queue")
    assert ledger.lines() == []
    with worker_on(shared_app, "here"):
        assert handle.get(timeout=SOON) == "here"


def test_an_entry_that_names_other_calls_of_its_batch_is_refused(shared_app, attack, worker_on, ledger):
    attacker = attack(shared_app)
    group = (
        shared_app.task(note)
        .with_options(queue="names")
        .starmap([(ledger.path, x) for x in range(4)], chunk=2)
    )
    (first, _), _ = attacker.entries("names")
    attacker.replace("names", first, i=1)
    with worker_on(shared_app, "names"):
        assert group.get(timeout=SOON) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"i": "x"},
        {"b": b"\xff"},
        *(pytest.param(change, marks=pytest.mark.long) for change in ({"n": 0}, {"n": -1}, {"a": "?"})),
    ],
    ids=str,
)
def test_an_entry_that_makes_no_sense_is_sent_again(shared_app, attack, worker_on, change):
    attacker = attack(shared_app)
    handle = shared_app.task(len).apply_async(("ab",), queue="nonsense")
    ((entry_id, _),) = attacker.entries("nonsense")
    attacker.replace("nonsense", entry_id, **change)
    with worker_on(shared_app, "nonsense"):
        assert handle.get(timeout=SOON) == 2


def test_junk_that_names_a_call_does_not_end_it(shared_app, attack, worker_on, ledger, gate):
    attacker = attack(shared_app)
    handle = shared_app.task(note).apply_async((ledger.path, "mine"), queue="junk")
    ((_, fields),) = attacker.entries("junk")
    attacker.redis.xadd(attacker.lane("junk"), {**fields, b"d": b"junk"})
    with worker_on(shared_app, "junk"):
        assert handle.get(timeout=SOON) == "mine"
    assert set(ledger.lines()) == {"mine"}
