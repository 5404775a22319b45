"""How a map is cut into chunks: pure."""

from __future__ import annotations

import pytest

from nbtasks.client.submitting import chunking
from nbtasks.client.submitting.chunking import MOST_BYTES, MOST_CALLS


def cut(n, seconds=None, slots=4, fixed=None, size=10):
    """The chunks of a map of ``n`` calls of one size."""
    payload = bytes(size)
    return [len(chunk) for chunk in chunking.cut((payload for _ in range(n)), n, seconds, slots, fixed)]


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100, 12_345])
@pytest.mark.parametrize("seconds", [None, 1e-9, 0.001, 0.1, 60.0])
@pytest.mark.parametrize("slots", [1, 4, 200])
def test_every_call_is_in_one_chunk(n, seconds, slots):
    chunks = cut(n, seconds, slots)
    assert sum(chunks) == n
    assert all(1 <= count <= MOST_CALLS for count in chunks)


def test_slow_calls_travel_alone():
    assert cut(10, seconds=1.0) == [1] * 10


def test_fast_calls_travel_by_the_hundred():
    assert cut(100_000, seconds=1e-6)[0] == MOST_CALLS


def test_unknown_calls_begin_alone_and_grow():
    chunks = cut(10_000, slots=2)
    assert chunks[:4] == [1, 1, 4, 4]
    assert max(chunks) == 256


def test_the_last_chunks_get_smaller_so_that_all_slots_end_together():
    chunks = cut(5_000, seconds=1e-6, slots=4)
    assert chunks[-1] == 1
    assert chunks == sorted(chunks, reverse=True)


def test_a_few_calls_are_spread_over_the_slots():
    assert cut(4, seconds=1e-6, slots=4) == [1, 1, 1, 1]


def test_what_the_user_says_is_done():
    assert cut(10, fixed=4) == [4, 4, 2]
    assert cut(1000, seconds=9, fixed=1000) == [1000]


def test_chunks_do_not_grow_beyond_their_bytes():
    assert cut(10, seconds=1e-6, slots=1, size=MOST_BYTES // 2)[0] == 2
    assert cut(3, fixed=3, size=MOST_BYTES * 5) == [1, 1, 1]


def test_payloads_keep_their_order_and_are_read_as_needed():
    read = []

    def payloads():
        for number in range(1000):
            read.append(number)
            yield bytes([number % 256]) * 300

    chunks = chunking.cut(payloads(), 1000, 1e-6, 4)
    first = next(chunks)
    assert len(read) <= len(first) + 1
    assert b"".join([*first, *(payload for chunk in chunks for payload in chunk)]) == b"".join(
        bytes([number % 256]) * 300 for number in range(1000)
    )
