"""What part of a square is filled, by state: so that no state is told by its colour alone. Pure.

What waits is a frame, what is in hand is half full, what is done is full, what has failed is crossed out, and what was
cancelled is a dash; of what was reused a corner is missing.
"""

from __future__ import annotations

from nbtasks.core import states
from nbtasks.core.appearance import REUSED

#: Of each row of pixels the filled ones, the leftmost in the lowest bit.
Stencil = tuple[int, ...]

#: In smaller squares two lines that cross would leave nothing.
_LEAST_CROSSED = 5


def stencil(state: str, side: int) -> Stencil:
    """Return how a square of ``side`` pixels is filled."""
    full = (1 << side) - 1
    if state == states.SUCCESS:
        return (full,) * side
    if state == REUSED:
        half = side // 2
        return (full >> half,) * half + (full,) * (side - half)
    if state == states.FAILURE:
        return tuple(full & ~_cross(row, side) for row in range(side))
    if state == states.REVOKED:
        edge = (side + 1) // 3
        return tuple(full if edge <= row < side - edge else 0 for row in range(side))
    walls = 1 | 1 << side - 1
    frame = tuple(full if row in (0, side - 1) else walls for row in range(side))
    if state in (states.STARTED, states.RETRY):
        return frame[: side // 2] + (full,) * (side - side // 2)
    return frame


def _cross(row: int, side: int) -> int:
    down, up = 1 << row, 1 << side - 1 - row
    return down | up if side >= _LEAST_CROSSED else down
