"""Values as payloads: small ones inside, large ones in the broker or in a file, common ones once."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from nbtasks import PayloadTooLarge, SignatureMismatch, ValueLost
from nbtasks.wire import pickling
from nbtasks.wire.values import (
    BLOB_BYTES,
    FILE_BYTES,
    IN_FILE,
    Shelf,
    files_of,
    payload_of,
    sharing,
    value_of,
)


class Bomb:
    """Goes off when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("something was unpickled that was not verified",)


class Broker:
    """Stores the pieces of large values, and counts how often they are asked for."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.asked = 0
        self.shelf = Shelf(lambda blob, piece: f"{blob}/{piece}", self.fetch)

    def fetch(self, key: str, target: memoryview) -> int | None:
        self.asked += 1
        data = self.stored.get(key)
        if data is not None and len(data) <= len(target):
            target[: len(data)] = data
        return None if data is None else len(data)

    def pack(self, value, limit=10**9, in_file=False) -> bytes:
        payload, pieces = payload_of(value, limit, self.shelf, lambda: in_file)
        self.stored.update((key, bytes(data)) for key, data in pieces)
        return payload

    def read(self, payload):
        return value_of(payload, self.shelf)


class Files:
    """Files of large values, in a folder of the test."""

    def __init__(self, folder, full=False) -> None:
        self.folder = folder
        self.full = full

    def write(self, name, parts):
        if self.full:
            return False
        (self.folder / name).write_bytes(b"".join(parts))
        return True

    def read(self, name, size):
        data = memoryview(bytearray((self.folder / name).read_bytes()))
        if len(data) != size:
            raise EOFError("too short")
        return data


def descriptors():
    """Number of files that this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def broker():
    return Broker()


def test_small_values_travel_inside(broker):
    payload = broker.pack({"a": [1, 2]})
    assert broker.stored == {}
    assert broker.read(payload) == {"a": [1, 2]}


def test_nothing_is_none(broker):
    assert broker.read(b"") is None


@pytest.mark.parametrize(
    "value",
    [bytes(range(256)) * (BLOB_BYTES // 128), "ä" * BLOB_BYTES, [b"x" * BLOB_BYTES, 1, b"y" * BLOB_BYTES]],
    ids=["bytes", "text", "list"],
)
def test_large_values_are_stored_apart(broker, value):
    payload = broker.pack(value)
    assert len(payload) < 1000
    assert broker.read(payload) == value


def test_large_values_are_cut_into_pieces(broker):
    value = [np.arange(600_000, dtype="f8"), np.arange(100_000, dtype="i4"), "small"]
    payload = broker.pack(value)
    assert max(map(len, broker.stored.values())) <= 4 * 2**20
    first, second, last = broker.read(payload)
    assert np.array_equal(first, value[0])
    assert np.array_equal(second, value[1])
    assert last == "small"


def test_arrays_are_aligned_and_writable_wherever_they_were(broker, tmp_path):
    value = {"odd": np.ones(100_001, "u1"), "a": np.arange(99_999, dtype="f8"), "b": np.ones(77_777, "c16")}
    broker.shelf.files = Files(tmp_path)
    for payload in (broker.pack(value), broker.pack(value, in_file=True)):
        again = broker.read(payload)
        for name, array in again.items():
            assert np.array_equal(array, value[name])
            assert array.flags.aligned
            array[0] = 0
            assert value[name][1] == broker.read(payload)[name][1]
        assert broker.read(payload)["odd"][0] == 1


def test_a_stored_part_that_is_gone_is_told(broker):
    payload = broker.pack(b"x" * 2 * BLOB_BYTES)
    broker.stored.clear()
    with pytest.raises(ValueLost, match="gone from the broker"):
        broker.read(payload)


@pytest.mark.parametrize(
    "bend", [lambda data: data[:-1] + b"!", lambda data: data[:-1], lambda data: data + b"!"]
)
def test_a_stored_part_that_was_changed_is_refused_before_it_is_unpickled(broker, bend):
    payload = broker.pack([Bomb(), b"x" * 2 * BLOB_BYTES])
    broker.stored = {key: bend(data) for key, data in broker.stored.items()}
    with pytest.raises(SignatureMismatch, match="refused unread"):
        broker.read(payload)


def test_a_value_over_the_limit_says_both_sizes(broker):
    with pytest.raises(PayloadTooLarge, match=r"bytes takes 200,\d+ bytes, over the limit of 100,000"):
        broker.pack(b"x" * 200_000, 100_000)


def test_a_small_value_over_a_smaller_limit_is_refused(broker):
    with pytest.raises(PayloadTooLarge, match=r"over the limit of 10"):
        broker.pack(b"x" * 20, 10)


def test_a_value_just_under_the_limit_passes(broker):
    value = b"x" * 100_000
    broker.pack(value, len(pickle.dumps(value, protocol=5)))


# --- files


def test_a_large_value_goes_into_a_file_where_it_may(broker, tmp_path):
    broker.shelf.files = Files(tmp_path)
    value = b"x" * FILE_BYTES
    payload = broker.pack(value, in_file=True)
    assert list(broker.stored.values()) == [IN_FILE]
    assert files_of(payload) == names_in(tmp_path)
    assert broker.read(payload) == value
    assert broker.asked == 0
    assert files_of(broker.pack(value)) == files_of(broker.pack(1)) == files_of(b"") == []


@pytest.mark.parametrize("size", [FILE_BYTES // 2, FILE_BYTES], ids=["too small for one", "there is no room"])
def test_it_goes_through_the_broker_otherwise(broker, tmp_path, size):
    broker.shelf.files = Files(tmp_path, full=True)
    payload = broker.pack(b"x" * size, in_file=True)
    assert files_of(payload) == []
    assert broker.read(payload) == b"x" * size


def test_a_file_that_is_gone_or_cut_short_is_told(broker, tmp_path):
    broker.shelf.files = Files(tmp_path)
    payload = broker.pack(b"x" * FILE_BYTES, in_file=True)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"x")
    with pytest.raises(ValueLost, match="not as it was written"):
        broker.read(payload)
    file.unlink()
    with pytest.raises(ValueLost, match="file of a large value is gone"):
        broker.read(payload)
    broker.shelf.files = None
    with pytest.raises(SignatureMismatch, match="machine where the embedded server is"):
        broker.read(payload)


# --- what calls have in common


def test_common_arguments_come_back_in_their_places(broker):
    one, two = (b"1" * BLOB_BYTES, b"2" * BLOB_BYTES)
    rest = broker.pack((("a", "b"), {"k": 3}))
    payload = sharing(rest, [(0, broker.pack(one)), (2, broker.pack(two))])
    assert broker.read(payload) == ((one, "a", two, "b"), {"k": 3})


def test_a_common_argument_is_fetched_once_and_is_new_for_each_call(broker):
    array = np.arange(200_000, dtype="f8")
    payload = sharing(broker.pack(((), {})), [(0, broker.pack(array))])
    asked = None
    for _ in range(3):
        (again,), _ = broker.read(payload)
        assert np.array_equal(again, array)
        again[:] = -1
        asked = asked or broker.asked
    assert broker.asked == asked


def test_common_arguments_beyond_what_may_be_kept_are_dropped(broker, monkeypatch):
    monkeypatch.setattr("nbtasks.wire.values._MOST_HELD_BYTES", 3 * BLOB_BYTES)
    before = descriptors()
    payloads = [sharing(broker.pack(((), {})), [(0, broker.pack(bytes([n]) * BLOB_BYTES))]) for n in range(9)]
    for _ in range(2):
        for number, payload in enumerate(payloads):
            assert broker.read(payload)[0][0] == bytes([number]) * BLOB_BYTES
    assert descriptors() <= before + 3


def test_files_of_common_arguments_are_named(broker, tmp_path):
    broker.shelf.files = Files(tmp_path)
    common = broker.pack(b"x" * FILE_BYTES, in_file=True)
    own = broker.pack(((b"y" * FILE_BYTES,), {}), in_file=True)
    assert sorted(files_of(sharing(own, [(0, common)]))) == names_in(tmp_path)


def test_many_arrays_from_files_do_not_use_up_the_descriptors(tmp_path):
    """A process may have few descriptors, and results are kept as long as somebody wants."""
    from nbtasks.core.mapping import MAP_BYTES, contents

    file = tmp_path / "value"
    file.write_bytes(b"x" * MAP_BYTES)
    fd = os.open(file, os.O_RDONLY)
    kept = [contents(fd, MAP_BYTES) for _ in range(600)]
    os.close(fd)
    assert descriptors() < 400
    assert all(view[-1] == ord("x") for view in kept)


def test_parts_are_read_as_they_were_written():
    parts = pickling.dumps([np.ones(50_000), np.ones(50_001, "u1"), "end"])
    one, two, end = pickling.loads(b"".join(parts))
    assert (one.sum(), two.sum(), end) == (50_000, 50_001, "end")
