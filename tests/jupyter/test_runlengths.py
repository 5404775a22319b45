"""The states of all calls as run lengths: what is packed comes out again, and takes little room."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core import states
from nbtasks.jupyter.card.runlengths import AS_BEFORE, pack_all, pack_changes

CODES = st.binary(max_size=300).map(lambda codes: bytes(code % 8 for code in codes))
#: As maps have them: long runs of one state.
RUNS = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 5000)), max_size=20).map(
    lambda runs: b"".join(bytes([code]) * count for code, count in runs)
)


def unpack(data, before=b""):
    """What page/runlengths.js does."""
    numbers = list(read_numbers(data))
    codes, at = bytearray(before[: numbers[0]].ljust(numbers[0], b"\0")), 0
    for count, code in (divmod(number, 16) for number in numbers[1:]):
        assert 0 < count <= len(codes) - at
        if code != AS_BEFORE:
            codes[at : at + count] = bytes([code]) * count
        at += count
    return codes


def read_numbers(data):
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0
    assert shift == 0


@settings(deadline=None)
@given(CODES | RUNS)
def test_all_states_come_out_as_they_went_in(codes):
    assert unpack(pack_all(codes)) == codes


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changes_bring_a_copy_up_to_date(data):
    before = data.draw(CODES)
    after = bytearray(before) + bytes(data.draw(st.integers(0, 50)))
    # Told are more calls than have changed, in any order, some of them twice.
    ranges = data.draw(st.lists(st.tuples(st.integers(0, len(after)), st.integers(0, 40)), max_size=12))
    ranges = [(first, min(count, len(after) - first)) for first, count in ranges]
    for first, count in ranges:
        after[first : first + count] = data.draw(st.binary(min_size=count, max_size=count).map(to_codes))
    assert unpack(pack_changes(after, ranges), before) == after


def to_codes(anything):
    return bytes(code % 8 for code in anything)


def test_a_map_of_100_000_calls_takes_some_bytes():
    assert len(pack_all(bytes(100_000))) < 10
    codes = bytearray([states.SUCCESS_CODE]) * 100_000
    for index in range(0, 100_000, 1_000):
        codes[index] = states.FAILURE_CODE
    assert len(pack_all(codes)) < 500


def test_states_without_any_order_take_at_most_a_byte_a_call():
    codes = bytes(random.Random(3).choices(range(8), k=10_000))
    assert len(pack_all(codes)) <= 10_003


def test_no_change_is_next_to_nothing():
    assert len(pack_changes(bytes(100_000), [])) == 3
