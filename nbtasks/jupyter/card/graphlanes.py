"""How the lines of a graph run beside its rows: each step has a row, and lines lead down to what waits for it. Pure.

One line leaves a step, whatever number of others waits for it, and they branch off it; lines to the same steps run
together. So a chain is one line, and a group of many two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Pixels: height of a row, width of a lane.
ROW, LANE = 24, 14
#: Lines beside each other; what would take more shares the last one.
_MOST_LANES = 8

#: From where to where in a row, in pixels.
Stroke = tuple[int, int, int, int]


@dataclass(frozen=True)
class RowLines:
    """What is drawn beside one row.

    Attributes:
        lane: where its own mark is.
        strokes: pieces of lines.
    """

    lane: int
    strokes: tuple[Stroke, ...]


def lanes_of(after: Sequence[Sequence[int]]) -> tuple[list[RowLines], int]:
    """Return what is drawn beside each row, and how many lanes that takes.

    Args:
        after: for each row those that wait for it, which come later.
    """
    active: list[set[int]] = []
    made = []
    for row, followers in enumerate(after):
        strokes: list[Stroke] = []
        into = [lane for lane, targets in enumerate(active) if row in targets]
        for lane in into:
            active[lane].discard(row)
        # Where its line goes on to others, it stands beside that.
        own = next((lane for lane in into if not active[lane]), None)
        if own is None:
            own = _free(active, into[0] + 1 if into else 0)
        strokes += [_from_top(lane, own) for lane in into]
        strokes += [_through(lane) for lane, targets in enumerate(active) if targets]
        if targets := set(followers):
            joined = next((k for k, known in enumerate(active) if known == targets), None)
            down = joined if joined is not None else own if not active[own] else _free(active, 0)
            active[down] |= targets
            strokes.append(_to_bottom(own, down))
        made.append(RowLines(own, tuple(dict.fromkeys(strokes))))
    return made, max(1, len(active))


def _free(active: list[set[int]], least: int) -> int:
    for lane in range(min(least, _MOST_LANES - 1), _MOST_LANES):
        while lane >= len(active):
            active.append(set())
        if not active[lane]:
            return lane
    return _MOST_LANES - 1


def _middle(lane: int) -> int:
    return lane * LANE + LANE // 2


def _from_top(lane: int, own: int) -> Stroke:
    return _middle(lane), 0, _middle(own), ROW // 2


def _through(lane: int) -> Stroke:
    return _middle(lane), 0, _middle(lane), ROW


def _to_bottom(own: int, lane: int) -> Stroke:
    return _middle(own), ROW // 2, _middle(lane), ROW


def path(strokes: Sequence[Stroke]) -> str:
    """Return the strokes as the path of an SVG."""
    parts = []
    for x0, y0, x1, y1 in strokes:
        middle = (y0 + y1) // 2
        parts.append(f"M{x0} {y0}V{y1}" if x0 == x1 else f"M{x0} {y0}C{x0} {middle} {x1} {middle} {x1} {y1}")
    return "".join(parts)


def svg(lines: str, lane: int, width: int) -> str:
    """Return what is drawn beside a row as a picture that stands alone: in one grey, for it does not know its page.

    Args:
        lines: a path.
        lane: where the mark is, of ``width`` ones.
    """
    x, y = _middle(lane), ROW // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * LANE}" height="{ROW}">'
        f'<path d="{lines}" fill="none" stroke="#80868e" stroke-width="1.5"/>'
        f'<circle cx="{x}" cy="{y}" r="3" fill="#80868e"/></svg>'
    )
