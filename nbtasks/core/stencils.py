"""What part of a square or a bar is filled, by state: so that no state is told by its colour alone. Pure.

What waits is a frame, what runs is full below, what is to run again is full above, what is done is full, what has
failed is crossed out, and what was cancelled is a dash; of what was reused a corner is missing.
"""

from __future__ import annotations

from . import palette, states
from .appearance import COLOURS, REUSED

#: Of each row of pixels the filled ones, the leftmost in the lowest bit.
Stencil = tuple[int, ...]

#: In smaller squares two lines that cross would leave nothing.
_LEAST_CROSSED = 5


def stencil(state: str, side: int) -> Stencil:
    """Return how a square of ``side`` pixels is filled."""
    full, half = (1 << side) - 1, side // 2
    whole = (full,) * side
    walls = 1 | 1 << side - 1
    frame = tuple(full if row in (0, side - 1) else walls for row in range(side))
    edge = (side + 1) // 3
    shapes = {
        states.STARTED: frame[:half] + whole[half:],
        states.RETRY: whole[half:] + frame[side - half :],
        states.SUCCESS: whole,
        states.FAILURE: tuple(full & ~_cross(row, side) for row in range(side)),
        states.REVOKED: tuple(full if edge <= row < side - edge else 0 for row in range(side)),
        REUSED: (full >> half,) * half + whole[half:],
    }
    return shapes.get(state, frame)


def drawn_out(shape: Stencil, width: int) -> Stencil:
    """Return a square as a bar: its edges once, its inside again and again; of a narrow bar, the middle of the square.

    Args:
        width: of the bar, in pixels.
    """
    side = len(shape)
    places = [_place(x, width, side) for x in range(width)]
    return tuple(sum((row >> place & 1) << x for x, place in enumerate(places)) for row in shape)


def swatch(state: str, side: int) -> bytes:
    """Return a square as a PNG picture."""
    rows = (bytes(row >> x & 1 for x in range(side)) for row in stencil(state, side))
    return palette.png(side, side, b"".join(b"\0" + row for row in rows), [(0, 0, 0, 0), COLOURS[state]])


def _place(x: int, width: int, side: int) -> int:
    if width < side:
        return (side - width) // 2 + x
    return 0 if x == 0 else side - 1 if x == width - 1 else 1 + (x - 1) % (side - 2)


def _cross(row: int, side: int) -> int:
    down, up = 1 << row, 1 << side - 1 - row
    return down | up if side >= _LEAST_CROSSED else down
