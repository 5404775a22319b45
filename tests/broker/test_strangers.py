"""Somebody else writes to the server: nothing of it is unpickled, and nothing of ours is harmed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from nbtasks import App, SignatureMismatch

SOON = 60.0


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return eval, (f"open({self.path!r}, 'w').close()",)


@pytest.fixture
def crater(tmp_path) -> Path:
    """Exists when something was unpickled that should not have been."""
    return tmp_path / "crater"


@pytest.fixture
def keys(shared_app):
    """Names of the App's keys."""
    return shared_app.session.line.keys


@pytest.fixture
def address(shared_app):
    """The address of a queue that no worker of the test listens on."""
    return shared_app.session.address("aside")


def bent(frame: bytes, bomb: object) -> bytes:
    """A frame whose body was replaced by a pickle that goes off."""
    body = pickle.dumps(bomb)
    middle = len(frame) // 2
    return frame[:middle] + body + frame[middle + len(body) :]


def flipped(frame: bytes, place: int = -40) -> bytes:
    """A frame with one bit changed."""
    changed = bytearray(frame)
    changed[place] ^= 1
    return bytes(changed)


def only_entry(client, lane):
    """The one entry of a lane: its id and its fields."""
    ((entry_id, fields),) = client.xrange(lane)
    return entry_id, fields


def test_a_queues_address_names_python_and_key(shared_app, keys):
    import sys

    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert shared_app.session.address("io") == f"io@{version}.{shared_app.session.keyring.id}"
    assert keys.lane("io@3.11.k", "m") == f"nb:{{{shared_app.connection.namespace}:0}}:q:io@3.11.k:m"


def test_all_keys_share_one_hash_tag(shared_app, raw):
    shared_app.task(len).map(["a", "b"]).get(timeout=SOON)
    names = raw(shared_app).keys("*")
    assert names
    tags = {name[name.index(b"{") : name.index(b"}") + 1] for name in names}
    assert f"{{{shared_app.connection.namespace}:0}}".encode() in tags
    assert all(name.startswith(b"nb:{") for name in names)


def test_an_entry_that_nobody_signed_does_no_harm(shared_app, raw, keys, crater, eventually):
    client = raw(shared_app)
    lane = keys.lane(shared_app.session.address("default"), "h")
    for frame in (pickle.dumps(Bomb(str(crater))), b"", b"NB2C" + b"x" * 500):
        client.xadd(lane, {"b": "0" * 20, "i": 0, "n": 1, "a": 1, "x": "", "d": frame})
    assert shared_app.task(len).delay("ab").get(timeout=SOON) == 2
    eventually(lambda: client.xlen(lane) == 0, "the entries are gone")
    assert shared_app.task(abs).map(range(100)).get(timeout=SOON) == list(range(100))
    assert not crater.exists()
    assert "batch 00000000000000000000" in shared_app.local_workers.log_tail(50)


def test_a_chunk_with_one_changed_bit_is_refused(shared_app, raw, address, crater, eventually):
    client = raw(shared_app)
    handle = shared_app.task(len).apply_async(("ab",), queue="aside")
    shared_app.session.flush()
    lane = shared_app.session.line.keys.lane(address, "m")
    entry_id, fields = only_entry(client, lane)
    client.xdel(lane, entry_id)
    client.xadd(lane, {**fields, b"d": flipped(fields[b"d"])})
    with App(connection=shared_app.connection) as other:
        other.start_workers(1, queues="aside")
        eventually(lambda: "changed after it was signed" in other.local_workers.log_tail(50), "it is refused")
        assert handle.get(timeout=SOON) == 2


def test_a_chunk_of_another_batch_is_refused(shared_app, raw, address, eventually):
    client = raw(shared_app)
    lane = shared_app.session.line.keys.lane(address, "m")
    first = shared_app.task(len).apply_async(("ab",), queue="aside")
    shared_app.session.flush()
    second = shared_app.task(len).apply_async(("abcdef",), queue="aside")
    shared_app.session.flush()
    entries = client.xrange(lane)
    frames = [fields[b"d"] for _, fields in entries]
    for (entry_id, fields), frame in zip(entries, reversed(frames), strict=True):
        client.xdel(lane, entry_id)
        client.xadd(lane, {**fields, b"d": frame})
    with App(connection=shared_app.connection) as other:
        other.start_workers(1, queues="aside")
        eventually(
            lambda: other.local_workers.log_tail(50).count("stands where one of") == 2, "both are refused"
        )
        assert (first.get(timeout=SOON), second.get(timeout=SOON)) == (2, 6)


def test_a_changed_function_is_refused_before_it_is_unpickled_and_sent_again(shared_app, raw, keys, crater):
    client = raw(shared_app)

    def mine(x):
        return f"my own {x}"

    handle = shared_app.task(mine).apply_async((1,), queue="aside")
    shared_app.session.flush()
    name = keys.function(handle.batch.parcel.function)
    client.set(name, bent(client.get(name), Bomb(str(crater))))
    with App(connection=shared_app.connection) as other:
        other.start_workers(1, queues="aside")
        assert handle.get(timeout=SOON) == "my own 1"
        assert "changed after it was signed" in other.local_workers.log_tail(50)
    assert not crater.exists()


def test_another_function_in_its_place_is_refused_and_the_right_one_sent_again(shared_app, raw, keys):
    client = raw(shared_app)

    def mine(x):
        return f"mine {x}"

    def other_one(x):
        return f"other {x}"

    shared_app.task(other_one).delay(1).get(timeout=SOON)
    handle = shared_app.task(mine).apply_async((1,), queue="aside")
    other_handle = shared_app.task(other_one).delay(1)
    other_handle.get(timeout=SOON)
    shared_app.session.flush()
    client.set(
        keys.function(handle.batch.parcel.function),
        client.get(keys.function(other_handle.batch.parcel.function)),
    )
    with App(connection=shared_app.connection) as other:
        other.start_workers(1, queues="aside")
        assert handle.get(timeout=SOON) == "mine 1"
        assert "stands where one of" in other.local_workers.log_tail(50)


def test_a_function_that_is_gone_is_sent_again(shared_app, raw, keys):
    def mine(x):
        return f"gone {x}"

    handle = shared_app.task(mine).apply_async((1,), queue="aside")
    shared_app.session.flush()
    raw(shared_app).delete(keys.function(handle.batch.parcel.function))
    with App(connection=shared_app.connection) as other:
        other.start_workers(1, queues="aside")
        assert handle.get(timeout=SOON) == "gone 1"


def test_a_changed_result_is_refused_before_it_is_unpickled(shared_app, raw, keys, crater):
    client = raw(shared_app)
    handle = shared_app.task(lambda: "x" * 500).delay()
    handle.get(timeout=SOON)
    records = keys.records(handle.batch.id)
    client.hset(records, "0+1", bent(client.hget(records, "0+1"), Bomb(str(crater))))
    with App(connection=shared_app.connection) as other, pytest.raises(SignatureMismatch):
        other.AsyncResult(handle.id).get(timeout=SOON)
    assert not crater.exists()


def test_a_result_of_another_call_is_refused(shared_app, raw, keys):
    client = raw(shared_app)
    mine = shared_app.task(len).delay("a")
    mine.get(timeout=SOON)
    yours = shared_app.task(len).delay("abc")
    yours.get(timeout=SOON)
    client.hset(keys.records(mine.batch.id), "0+1", client.hget(keys.records(yours.batch.id), "0+1"))
    with (
        App(connection=shared_app.connection) as other,
        pytest.raises(SignatureMismatch, match="stands where one of"),
    ):
        other.AsyncResult(mine.id).get(timeout=SOON)


def test_a_result_under_another_index_is_refused(shared_app, raw, keys):
    client = raw(shared_app)
    group = shared_app.task(abs).map([1, 2], chunk=1)
    group.get(timeout=SOON)
    records = keys.records(group.id)
    names = client.hkeys(records)
    if set(names) == {b"0+1", b"1+1"}:
        first, second = client.hget(records, "0+1"), client.hget(records, "1+1")
        client.hset(records, mapping={"0+1": second, "1+1": first})
    else:
        client.hset(records, "1+2", client.hget(records, "0+2"))
        client.hdel(records, "0+2")
    with App(connection=shared_app.connection) as other, pytest.raises(SignatureMismatch, match="not about"):
        other.attach(group.id)[0].get(timeout=SOON)


def test_a_changed_part_of_a_large_value_is_refused(shared_app, raw, keys, crater):
    client = raw(shared_app)
    handle = shared_app.task(len).apply_async((b"x" * 200_000,), queue="aside")
    shared_app.session.flush()
    (blob,) = client.smembers(keys.batch_blobs(handle.batch.id))
    client.set(blob, bent(client.get(blob), Bomb(str(crater))))
    with App(connection=shared_app.connection) as other:
        other.start_workers(1, queues="aside")
        with pytest.raises(SignatureMismatch, match="large value was changed after it was signed"):
            handle.get(timeout=SOON)
    assert not crater.exists()


def test_an_order_that_nobody_signed_stops_nothing(shared_app, raw, keys, gate, eventually):
    import time

    def wait_at(path):
        end = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.005)
        return "went on"

    handle = shared_app.task(wait_at).delay(gate.path)
    eventually(lambda: handle.state == "STARTED")
    order = b'{"t":"stop","b":"%s","i":-1,"kill":true}' % handle.id.encode()
    raw(shared_app).xadd(keys.control, {"k": "c", "d": order})
    eventually(lambda: "an order was refused" in shared_app.local_workers.log_tail(50), "it is refused")
    gate.open()
    assert handle.get(timeout=SOON) == "went on"


def test_an_event_that_nobody_signed_changes_nothing(shared_app, raw, keys, gate, crater, eventually):
    handle = shared_app.task(len).apply_async(("ab",), queue="aside")
    shared_app.session.flush()
    client = raw(shared_app)
    session = client.hget(keys.batch(handle.batch.id), "s").decode()
    bomb = pickle.dumps(Bomb(str(crater)))
    client.xadd(keys.events(session), {"k": "r", "b": handle.id, "i": 0, "n": 1, "w": "", "d": bomb})
    client.xadd(keys.events(session), {"k": "e", "b": handle.id, "d": bomb})
    assert shared_app.task(len).delay("abc").get(timeout=SOON) == 3
    assert handle.state == "PENDING"
    assert not crater.exists()
    handle.revoke()
