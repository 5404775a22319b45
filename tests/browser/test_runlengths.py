"""What the kernel packs, the page's own script unpacks; what no kernel would send, it refuses."""

from __future__ import annotations

import random

import pytest

from nbtasks.jupyter.card.looks import LOOKS
from nbtasks.jupyter.card.runlengths import AS_BEFORE, pack_all, pack_changes
from nbtasks.jupyter.liveoutput import joined

pytestmark = pytest.mark.browser

UNPACK = """([script, cases, states]) => {
    const unpack = new Function(script + '; return unpackStates;')();
    const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
    const hex = (codes) => codes && Array.from(codes, (code) => code.toString(16).padStart(2, '0')).join('');
    return cases.map(([data, before]) => hex(unpack(bytes(data), bytes(before), states)));
}"""


@pytest.fixture(scope="module")
def unpack(chromium):
    """``unpack([(data, before), ...])`` returns what the page makes of it: the states, or None."""
    page = chromium.new_page()

    def unpacked(cases):
        given = [(data.hex(), bytes(before).hex()) for data, before in cases]
        found = page.evaluate(UNPACK, [joined("runlengths.js"), given, len(LOOKS)])
        return [None if codes is None else bytes.fromhex(codes) for codes in found]

    yield unpacked
    page.close()


def some_codes(chance, most=400):
    """Return states as maps have them: runs, and calls apart."""
    codes = bytearray()
    for _ in range(chance.randrange(8)):
        length = chance.choice([1, 1, 2, 7, 8, chance.randrange(1, most)])
        codes += bytes([chance.randrange(len(LOOKS))]) * length
    return codes


def change(chance, before):
    """Return states after some time, and the ranges that have changed."""
    after = before + bytes(chance.choice([0, 0, chance.randrange(300)]))
    ranges = []
    for _ in range(chance.randrange(6) if after else 0):
        first = chance.randrange(len(after))
        part = some_codes(chance, 30)[: len(after) - first]
        after[first : first + len(part)] = part
        ranges.append((first, len(part)))
    return after, ranges


def test_the_page_unpacks_what_the_kernel_packs(unpack):
    chance = random.Random(5)
    cases, wanted = [], []
    for _ in range(300):
        before = some_codes(chance)
        after, ranges = change(chance, before)
        cases += [(pack_all(after), b""), (pack_changes(after, ranges), before)]
        wanted += [after, after]
    million = bytes(999_999) + b"\1"
    assert unpack([*cases, (pack_all(million), b"")]) == [*wanted, million]


def number(value):
    return bytes([value & 127 | 128, value >> 7 & 127 | 128, value >> 14])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        # A number that never ends; and as many calls as no page can hold.
        b"\xff" * 50,
        b"\xff" * 5 + b"\x7f" + b"\x10",
        # A run that is cut off, one beyond the last call, one of no calls, and a state that there is not.
        number(1000) + b"\x91",
        number(10) + number(11 << 4),
        number(10) + b"\x01",
        number(10) + bytes([1 << 4 | AS_BEFORE - 1]),
    ],
)
def test_what_no_kernel_sends_is_refused(unpack, data):
    assert unpack([(data, bytes(10))]) == [None]


def test_anything_else_gives_states_that_there_are_or_nothing(unpack):
    chance = random.Random(7)
    cases = [
        (number(chance.randrange(200)) + chance.randbytes(chance.randrange(12)), some_codes(chance, 50))
        for _ in range(500)
    ]
    for codes, (data, _) in zip(unpack(cases), cases, strict=True):
        assert codes is None or len(codes) == data[0] & 127 | (data[1] & 127) << 7
        assert codes is None or max(codes, default=0) < len(LOOKS)


def test_cut_off_anywhere_nothing_is_shown_that_was_not_sent(unpack):
    codes = some_codes(random.Random(2)) + bytes([3]) * 5000
    data = pack_all(codes)
    for got in unpack([(data[:end], b"") for end in range(len(data))]):
        assert got is None or all(one in (0, true) for one, true in zip(got, codes, strict=True))
