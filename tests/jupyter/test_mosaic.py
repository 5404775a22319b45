"""The mosaic as a picture for the saved card."""

import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core import states
from nbtasks.jupyter.card.looks import LOOKS, LOUDEST
from nbtasks.jupyter.card.mosaic import loudest, picture


def test_the_loudest_state_of_a_run_is_shown():
    codes = bytearray([states.SUCCESS_CODE] * 1000)
    codes[37] = states.FAILURE_CODE
    codes[990] = states.STARTED_CODE
    shown = loudest(codes, 10)
    assert len(shown) == 10
    assert shown[0] == states.FAILURE_CODE
    assert shown[-1] == states.STARTED_CODE
    assert set(shown[1:-1]) == {states.SUCCESS_CODE}


def pixels(png):
    """Decode a palette PNG without filters into rows of palette numbers."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    position, chunks = 8, {}
    while position < len(png):
        length = struct.unpack_from(">I", png, position)[0]
        kind, data = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        assert zlib.crc32(kind + data) == struct.unpack_from(">I", png, position + 8 + length)[0]
        chunks[kind] = data
        position += 12 + length
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (depth, colour) == (8, 3)
    lines = zlib.decompress(chunks[b"IDAT"])
    return width, height, [lines[row * (width + 1) + 1 : (row + 1) * (width + 1)] for row in range(height)]


@pytest.mark.parametrize("n", [1, 12, 200, 1_000, 2_300, 10_000, 100_000])
def test_each_call_has_a_cell_of_its_state(n):
    codes = bytes(random.Random(n).choices(range(7), k=n))
    png, shown_width, shown_height = picture(codes)
    width, height, rows = pixels(png)
    assert (width, height) == (shown_width, shown_height)
    assert width <= 750
    assert height <= 170
    side = next(side for side in range(1, 13) if -(-n // (width // side)) * side == height)
    columns = width // side
    # Of a square only a part is filled, with one colour; the palette's last entry is nothing at all.
    read = bytes(
        min(
            min(row[i % columns * side : (i % columns + 1) * side])
            for row in rows[i // columns * side :][:side]
        )
        for i in range(n)
    )
    # Where cells are tiny, failures spread to their neighbours.
    failure = states.FAILURE_CODE
    assert all(
        shown == code or (side < 3 and shown == failure) for shown, code in zip(read, codes, strict=True)
    )
    assert max(max(row) for row in rows) <= len(LOOKS)


def test_few_failures_among_very_many_calls_are_seen():
    codes = bytearray([states.SUCCESS_CODE]) * 100_000
    for index in range(500, 100_000, 1_000):
        codes[index] = states.FAILURE_CODE
    _, _, rows = pixels(picture(codes)[0])
    assert sum(row.count(states.FAILURE_CODE) for row in rows) > 3 * 100


@pytest.mark.parametrize("width", [1, 300, 520])
def test_a_picture_is_as_wide_as_the_card(width):
    _, shown_width, _ = picture(bytes([states.SUCCESS_CODE]) * 200, width)
    assert 0 <= width - shown_width < 12


def test_a_picture_of_a_huge_map_stays_small():
    png, _, height = picture(bytes([states.SUCCESS_CODE]) * 1_000_000)
    assert len(png) < 4_000
    assert height <= 170


@settings(deadline=None)
@given(
    st.binary(min_size=1, max_size=400).map(lambda codes: bytes(code % 8 for code in codes)),
    st.integers(1, 60),
)
def test_each_cell_shows_the_loudest_of_its_calls(codes, most):
    shown = loudest(codes, most)
    step = -(-len(codes) // most)
    runs = [codes[start : start + step] for start in range(0, len(codes), step)]
    assert list(shown) == [next(code for code in LOUDEST if code in run) for run in runs]
