"""The mosaic of the saved card: a picture with one cell per call. Pure."""

from __future__ import annotations

import math

from nbtasks.core import palette
from nbtasks.core.states import FAILURE_CODE
from nbtasks.core.stencils import stencil

from .looks import LAYOUTS, LOOKS, LOUDEST, MOST_CELLS

#: CSS pixels: the inside of a card that has all the room it takes.
WIDTH = 750
_GAP = len(LOOKS)  # the palette's entry for nothing at all


def loudest(codes: bytes | bytearray, most: int) -> bytes:
    """Return at most ``most`` codes, each for a run of calls: the state that matters most among them."""
    if len(codes) <= most:
        return bytes(codes)
    step = math.ceil(len(codes) / most)
    cells = math.ceil(len(codes) / step)
    # As numbers with a byte for each cell: there may be a million calls, and no loop goes through them.
    shown = 0
    for code in reversed(LOUDEST):
        there = _cells_with(code, codes, step)
        shown = shown & ~(there * 0xFF) | there * code
    return shown.to_bytes(cells, "little")


def _cells_with(code: int, codes: bytes | bytearray, step: int) -> int:
    """Return 1 in the byte of each cell that has a call with this code."""
    if code not in codes:
        return 0
    marks = codes.translate(bytes(one == code for one in range(256)))
    there = 0
    for place in range(step):
        there |= int.from_bytes(marks[place::step], "little")
    return there


def picture(codes: bytes | bytearray, width: int = WIDTH) -> tuple[bytes, int, int]:
    """Draw the mosaic as a PNG, at most ``width`` CSS pixels wide, as page/mosaic.js draws it.

    Returns:
        The PNG, and the width and height in CSS pixels at which it is sharp.
    """
    cells = loudest(codes, MOST_CELLS)
    side, gap, columns = _layout(len(cells), width)
    if side < 3:
        cells = _with_louder_failures(cells, columns)
    rows = math.ceil(len(cells) / columns)
    filler = bytes([_GAP])
    inks = _inks(side, gap)
    lines: list[bytes] = []
    for row in range(rows):
        part = cells[row * columns : (row + 1) * columns].ljust(columns, filler)
        for inks_of_row in inks:
            # A column of pixels of all cells at once: a mosaic may have 100,000 of them.
            pixels = bytearray(filler * (columns * side))
            for x, ink in enumerate(inks_of_row):
                pixels[x::side] = part.translate(ink)
            lines.append(b"\0" + pixels)
        lines += [b"\0" + filler * (columns * side)] * gap
    shown = [*(look.rgba for look in LOOKS), (0, 0, 0, 0)]
    return palette.png(columns * side, rows * side, b"".join(lines), shown), columns * side, rows * side


def _inks(side: int, gap: int) -> list[list[bytes]]:
    """Return for each row of a cell's pixels, and each pixel in it, a table: from the code of a state to the colour."""
    inner = side - gap
    # Without a gap there is no room for more than the colour.
    shapes = [stencil(look.state, inner) if gap else ((1 << side) - 1,) * side for look in LOOKS]
    codes = bytes(range(len(LOOKS)))
    return [
        [
            bytes.maketrans(codes, bytes(code if shapes[code][y] >> x & 1 else _GAP for code in codes))
            for x in range(inner)
        ]
        for y in range(inner)
    ]


def _with_louder_failures(cells: bytes, columns: int) -> bytes:
    """A failure of one or two pixels would be overlooked among thousands: it takes three neighbours along."""
    louder = bytearray(cells)
    at = cells.find(FAILURE_CODE)
    while at >= 0:
        for near in (at + 1, at + columns, at + columns + 1):
            if near < len(louder):
                louder[near] = FAILURE_CODE
        at = cells.find(FAILURE_CODE, at + 1)
    return bytes(louder)


def _layout(cells: int, width: int) -> tuple[int, int, int]:
    """Return the side of a cell in pixels, its gap included, that gap, and the cells in a row."""
    side, gap, _ = next(layout for layout in LAYOUTS if cells <= max(1, width // layout[0]) * layout[2])
    return side, gap, max(1, min(width // side, cells))
