"""What lies on the server is changed, swapped or moved without the key: it is refused, and the rest goes on."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from nbtasks import SignatureMismatch, TimeoutError, UnknownCall
from nbtasks.client.engines.brokered.receiving import adoption, listener
from nbtasks.core.lanenames import LANES
from nbtasks.wire.values import PIECE_BYTES

SOON = 60.0


def held(path, gate, text):
    """Task code: print, then wait."""
    print(text, flush=True)
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    print(f"{text} ends", flush=True)
    return text


# --- results, as a kernel reads them that comes later


@pytest.fixture
def group(shared_app):
    """A map that has ended: five calls, each with a record of its own."""
    group = shared_app.task(lambda x: x * 11).map(range(5), chunk=1)
    group.get(timeout=SOON)
    return group


def outcomes(handles):
    """The value of each call, or the name of what it raises."""
    found = []
    for one in handles:
        try:
            found.append(one.get(timeout=SOON))
        except SignatureMismatch as error:
            found.append(str(error))
    return found


def test_one_changed_record_costs_only_its_own_calls(shared_app, attack, flip, restarted, group):
    attacker = attack(shared_app)
    name, frame = next(iter(attacker.records(group.id).items()))
    attacker.redis.hset(attacker.keys.records(group.id), name, flip(frame, -60))
    first, count = map(int, name.split(b"+"))
    (again,) = restarted(shared_app).attach(group.id)
    for index, outcome in enumerate(outcomes(again)):
        if first <= index < first + count:
            assert "changed after it was signed" in outcome
        else:
            assert outcome == index * 11
    assert again.ready()


def test_two_results_of_one_map_swapped(shared_app, attack, restarted):
    attacker = attack(shared_app)
    # One after the other, so that each has a record of its own.
    group = shared_app.task(lambda x: x * 11).map(range(5), max_parallel=1)
    group.get(timeout=SOON)
    one, other = b"1+1", b"3+1"
    records = attacker.records(group.id)
    attacker.redis.hset(attacker.keys.records(group.id), mapping={one: records[other], other: records[one]})
    (again,) = restarted(shared_app).attach(group.id)
    for index, outcome in enumerate(outcomes(again)):
        if index in (1, 3):
            assert "filed under calls that it is not about" in outcome
        else:
            assert outcome == index * 11


def test_a_result_that_is_gone_is_told(shared_app, attack, restarted):
    attacker = attack(shared_app)
    handle = shared_app.task(len).delay("ab")
    handle.get(timeout=SOON)
    attacker.redis.delete(attacker.keys.records(handle.batch.id))
    with pytest.raises(SignatureMismatch, match="its result is gone"):
        restarted(shared_app).AsyncResult(handle.id).get(timeout=SOON)


def test_a_state_that_is_none_of_an_end_keeps_nobody_waiting(idle_app, attack, restarted):
    """The scripts on the server take it for an end: the call would be run in vain, again and again."""
    group = idle_app.task(abs).map(range(3), chunk=1)
    attacker = attack(idle_app)
    idle_app.session.flush()
    attacker.redis.set(attacker.keys.states(group.id), b"\x01\x02\x03")
    (again,) = restarted(idle_app).attach(group.id)
    assert all("there is no result" in str(outcome) for outcome in outcomes(again))


def test_names_of_records_that_mean_nothing_do_no_harm(shared_app, attack, restarted, group):
    attacker = attack(shared_app)
    frame = next(iter(attacker.records(group.id).values()))
    names = [b"", b"x+y", b"-1+1", b"0+0", b"3+-2", b"99999999999+1", b"0+4294967296"]
    for name in names:
        attacker.redis.hset(attacker.keys.records(group.id), name, frame)
    (again,) = restarted(shared_app).attach(group.id)
    assert outcomes(again) == [0, 11, 22, 33, 44]


def test_what_a_kernel_has_seen_does_not_change(shared_app, attack, group):
    attacker = attack(shared_app)
    attacker.redis.delete(attacker.keys.records(group.id), attacker.keys.states(group.id))
    assert group.get(timeout=SOON) == [0, 11, 22, 33, 44]


# --- the record of a batch


def test_a_changed_number_of_calls_is_not_believed(shared_app, attack, restarted, group):
    attacker = attack(shared_app)
    attacker.redis.hset(attacker.keys.batch(group.id), mapping={"n": 2_000_000_000, "f": "0" * 64})
    (again,) = restarted(shared_app).attach(group.id)
    assert len(again) == 5
    assert outcomes(again) == [0, 11, 22, 33, 44]


def test_the_label_of_another_batch_is_refused(shared_app, attack, restarted, group):
    attacker = attack(shared_app)
    other = shared_app.task(len).delay("ab")
    other.get(timeout=SOON)
    label = attacker.redis.hget(attacker.keys.batch(other.batch.id), "m")
    attacker.redis.hset(attacker.keys.batch(group.id), "m", label)
    with pytest.raises(SignatureMismatch, match=r"a label record of .* stands where one of"):
        restarted(shared_app).attach(group.id)


def test_a_changed_label_is_refused_and_the_others_are_shown(shared_app, attack, flip, restarted, group):
    attacker = attack(shared_app)
    other = shared_app.task(len).delay("ab")
    other.get(timeout=SOON)
    name = attacker.keys.batch(group.id)
    attacker.redis.hset(name, "m", flip(attacker.redis.hget(name, "m")))
    ids = [handle.id for handle in restarted(shared_app).attach(last=100)]
    assert other.id in ids
    assert group.id not in ids


def test_a_growing_maps_number_of_calls_is_signed_at_its_end(shared_app, attack, restarted):
    attacker = attack(shared_app)
    group = shared_app.task(abs).map(range(6), max_parallel=2)
    group.get(timeout=SOON)
    attacker.redis.hset(attacker.keys.batch(group.id), "n", 3)
    (again,) = restarted(shared_app).attach(group.id)
    assert again.get(timeout=SOON) == list(range(6))


def test_an_old_label_of_a_growing_map_keeps_nobody_waiting(
    shared_app, attack, restarted, eventually, monkeypatch
):
    """It says, signed, that there will be more calls; nothing tells it from a client that was killed meanwhile."""
    attacker, gate = attack(shared_app), threading.Event()

    def items():
        yield from range(3)
        gate.wait(60)

    group = shared_app.task(abs).map(items(), max_parallel=2)
    eventually(lambda: group.completed_count() == 3)
    name = attacker.keys.batch(group.id)
    label = attacker.redis.hget(name, "m")
    gate.set()
    assert group.get(timeout=SOON) == [0, 1, 2]
    attacker.redis.hset(name, mapping={"m": label, "n": -1})
    monkeypatch.setattr(adoption, "LEFT_AFTER_S", 1.0)
    monkeypatch.setattr(listener, "_RECONCILE_S", 0.3)
    (again,) = restarted(shared_app).attach(group.id)
    with pytest.raises(UnknownCall, match="nobody knows how many calls abs"):
        again.get(timeout=60)
    assert [one.get(timeout=SOON) for one in again] == [0, 1, 2]


@pytest.mark.long
def test_a_map_that_grows_slowly_is_followed_as_long_as_its_client_lives(
    shared_app, restarted, eventually, monkeypatch
):
    monkeypatch.setattr(adoption, "LEFT_AFTER_S", 3.0)
    monkeypatch.setattr(listener, "_RECONCILE_S", 0.3)
    gate = threading.Event()

    def items():
        yield 0
        gate.wait(60)
        yield 1

    group = shared_app.task(abs).map(items(), max_parallel=2)
    eventually(lambda: group.completed_count() == 1)
    (again,) = restarted(shared_app).attach(group.id)
    with pytest.raises(TimeoutError):
        again.get(timeout=8)
    gate.set()
    assert again.get(timeout=SOON) == [0, 1]


# --- large values


@pytest.fixture
def pieces(shared_app, attack):
    """``pieces(handle)`` names what is stored of a batch's large values, in order."""
    attacker = attack(shared_app)

    def names(handle):
        shared_app.session.flush()
        return sorted(attacker.redis.smembers(attacker.keys.batch_blobs(handle.batch.id)))

    return names


def test_two_pieces_of_one_value_swapped(shared_app, attack, worker_on, pieces, monkeypatch):
    monkeypatch.setattr(shared_app.session.shelf, "files", None)
    attacker = attack(shared_app)
    data = b"a" * PIECE_BYTES + b"b" * PIECE_BYTES + b"c"
    handle = shared_app.task(len).apply_async((data,), queue="pieces")
    one, other, _ = pieces(handle)
    first, second = attacker.redis.mget(one, other)
    attacker.redis.mset({one: second, other: first})
    with (
        worker_on(shared_app, "pieces"),
        pytest.raises(SignatureMismatch, match="large value was changed after it was signed"),
    ):
        handle.get(timeout=SOON)


def test_a_piece_of_another_value_is_refused(shared_app, attack, worker_on, pieces):
    attacker = attack(shared_app)
    mine = shared_app.task(len).apply_async((b"m" * 200_000,), queue="values")
    yours = shared_app.task(len).apply_async((b"y" * 200_000,), queue="values")
    (one,), (other,) = pieces(mine), pieces(yours)
    attacker.redis.set(one, attacker.redis.get(other))
    with worker_on(shared_app, "values"):
        assert yours.get(timeout=SOON) == 200_000
        with pytest.raises(SignatureMismatch, match="large value was changed after it was signed"):
            mine.get(timeout=SOON)


def test_a_changed_piece_of_a_result_is_refused_in_the_kernel(shared_app, attack, flip, pieces):
    attacker = attack(shared_app)
    handle = shared_app.task(lambda: b"r" * 200_000).delay()
    assert handle.until_ready(SOON)
    (name,) = pieces(handle)
    attacker.redis.set(name, flip(attacker.redis.get(name)))
    with pytest.raises(SignatureMismatch, match="large value was changed after it was signed"):
        handle.get(timeout=SOON)


# --- events


def test_an_event_that_comes_twice_counts_once(app, attack, ledger, gate, eventually):
    attacker = attack(app)
    heard = attacker.listen(app)
    handle = app.task(held).delay(ledger.path, gate.path, "line")
    batch = handle.batch
    eventually(lambda: any(line.text == "line\n" for line in batch.output), "it has printed")
    told = eventually(
        lambda: [fields for fields in heard if fields[b"k"] == b"e"], "the attacker heard it too"
    )
    for fields in told * 3:
        attacker.redis.xadd(attacker.events_name(batch.id), fields)
    gate.open()
    handle.get(timeout=SOON)
    assert sum(line.text == "line\n" for line in batch.output) == 1


def test_an_event_of_another_batch_is_refused(app, attack, ledger, gate, eventually, caplog):
    attacker = attack(app)
    heard = attacker.listen(app)
    running = app.task(held).delay(ledger.path, gate.path, "line")
    eventually(lambda: running.state == "STARTED", "it runs")
    waiting = app.task(len).apply_async(("ab",), queue="aside")
    fields = eventually(lambda: [fields for fields in heard if fields[b"k"] == b"e"])[0]
    app.session.flush()
    attacker.redis.xadd(attacker.events_name(waiting.id), {**fields, b"b": waiting.id})
    eventually(lambda: "stands where one of" in caplog.text, "it is refused")
    assert waiting.state == "PENDING"
    gate.open()
    running.get(timeout=SOON)
    waiting.revoke()


def test_events_that_nobody_can_read_do_not_stop_the_others(app, attack, ledger, gate, eventually, caplog):
    attacker = attack(app)
    handle = app.task(held).delay(ledger.path, gate.path, "line")
    eventually(lambda: handle.state == "STARTED", "it runs")
    stream = attacker.events_name(handle.id)
    for fields in (
        {"x": "y"},
        {"k": "r"},
        {"k": "r", "b": handle.id, "i": "no", "n": "number", "w": "", "d": ""},
        {"k": "r", "b": handle.id, "i": 0, "n": 1, "w": "what", "d": ""},
        {"k": "r", "b": handle.id, "i": 0, "n": 2**40, "w": f"0+{2**40}", "d": b"NB2"},
        {"k": "e", "b": b"\xff\xfe", "d": ""},
    ):
        attacker.redis.xadd(stream, fields)
    gate.open()
    assert handle.get(timeout=SOON) == "line"
    assert app.task(len).delay("ab").get(timeout=SOON) == 2
    assert "events could not be taken in" not in caplog.text


# --- what is not signed: shown, never believed


def test_a_worker_that_shows_nonsense_is_left_out(shared_app, attack):
    attacker = attack(shared_app)
    keys = attacker.keys
    for number, text in enumerate(("", "[]", "{", json.dumps({"python": 3}), json.dumps({"name": "x"}))):
        attacker.redis.set(keys.worker_info(f"stranger{number}"), text, px=5000)
        attacker.redis.zadd(keys.workers, {f"stranger{number}": time.time() * 1000})
    assert [worker.problem for worker in shared_app.workers()] == [None]
    handle = shared_app.task(len).apply_async(("ab",), queue="aside")
    assert "no worker listens" in handle.why_pending()
    handle.revoke()


def test_junk_on_every_list_holds_nobody_up(app, attack, gate, ledger, eventually):
    attacker = attack(app)
    keys, junk = attacker.keys, b"\xff\xfe"
    attacker.redis.xadd(keys.control, {"x": "y"})
    attacker.redis.xadd(keys.control, {junk: junk, "b": junk})
    attacker.redis.zadd(keys.workers, {junk: 0})
    attacker.redis.zadd(keys.batches, {junk: time.time() * 1000, "f" * 20: time.time() * 1000})
    attacker.redis.sadd(keys.addresses, junk, "x")
    attacker.redis.set(keys.batch("f" * 20), "no batch")
    for lane in LANES:
        attacker.redis.xadd(attacker.lane(lane=lane), {"x": "y"})
        attacker.redis.xadd(attacker.lane(lane=lane), dict.fromkeys(("b", "i", "n", "a", "x", "d"), junk))
    handle = app.task(held).delay(ledger.path, gate.path, "line")
    eventually(lambda: handle.state == "STARTED", "calls run")
    assert [item.id for item in app.attach(last=10)] == [handle.id]
    assert len(app.workers()) == 1
    handle.revoke(terminate=True)
    eventually(lambda: "line ends" not in ledger.lines() and handle.state == "REVOKED")
    assert app.task(len).delay("ab").get(timeout=SOON) == 2
    assert app.task(len).apply_async(("ab",), countdown=0.1).get(timeout=SOON) == 2


def test_an_entry_larger_than_any_of_ours_is_dropped_where_it_lies(
    idle_app, attack, gate, ledger, eventually
):
    """Who fetches it could be given up by who waits for an answer, and would meet it again and again."""
    idle_app.start_workers(1)
    attacker = attack(idle_app)
    running = idle_app.task(held).delay(ledger.path, gate.path, "line")
    eventually(ledger.lines, "the only child is busy")
    parked = idle_app.task(abs).apply_async((-1,), queue="nobody")
    junk = {"b": parked.id, "i": 0, "n": 1, "a": 1, "x": "", "d": b"NB2C" + bytes(17 * 2**20)}
    for lane in "Hm":
        attacker.redis.xadd(attacker.lane(lane=lane), junk)
    waiting = idle_app.task(len).delay("ab")
    gate.open()
    assert waiting.get(timeout=SOON) == 2
    assert running.get(timeout=SOON) == "line"
    log = idle_app.local_workers.log_tail(200)
    assert f"batch {parked.id}: left out an entry" in log
    assert "refused" not in log
    assert parked.state == "PENDING"


def test_a_delayed_call_that_is_none_holds_up_no_other(shared_app, attack, ledger):
    attacker = attack(shared_app)
    address = shared_app.session.address("default")
    name = attacker.keys.delayed(address)
    attacker.redis.zadd(name, {b"no call": 0, b"m zz 1 1 1\nframe": 1, b"": 2, b"\n": 3})
    assert shared_app.task(len).apply_async(("ab",), countdown=0.1).get(timeout=SOON) == 2
    assert not attacker.redis.zrange(name, 0, -1)
