"""A timeline as a picture, drawn pixel by pixel: lanes, bars, waits before them, and a time axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbtasks.core import palette, states
from nbtasks.core.appearance import COLOURS
from nbtasks.core.stencils import drawn_out, stencil

from . import glyphs
from .spans import Span, Spans

#: Pixels: of the whole, of a row with its gap, between lanes, of the axis.
WIDTH = 900
ROW, BAR = 14, 10
LANE_GAP = 4
AXIS = 16
_ADVANCE = glyphs.WIDTH + 1
_MOST_NAME = 32
_TICKS = 8
_NAMES = tuple(COLOURS)
_CLEAR, _INK, _LINE = range(len(_NAMES), len(_NAMES) + 3)
_PALETTE = [*COLOURS.values(), (0, 0, 0, 0), (118, 124, 132, 255), (128, 134, 142, 60)]


@dataclass(frozen=True)
class Box:
    """Where a span is in the picture, in pixels."""

    span: Span
    left: int
    top: int
    right: int
    bottom: int


class Drawing:
    """One timeline's picture."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        names = [lane.name[:_MOST_NAME] for lane in spans.lanes]
        self._left = _ADVANCE * max(map(len, names), default=0) + 8
        tops, top = [], 0
        for lane in spans.lanes:
            tops.append(top)
            top += ROW * lane.rows + LANE_GAP
        self.width, self.height = WIDTH, top + AXIS
        self._pixels = bytearray([_CLEAR]) * (self.width * self.height)
        self._draw_axis(top)
        for name, top in zip(names, tops, strict=True):
            self._text(0, top + (BAR - glyphs.HEIGHT) // 2 + 1, name)
        self.boxes = [self._box(span, tops) for span in spans.spans]
        for box in self.boxes:
            self._draw_wait(box)
        # What is loud comes last, and is seen where bars overlap.
        for box in sorted(self.boxes, key=lambda box: list(box.span.counts()) != [states.SUCCESS]):
            self._draw_bar(box)

    def png(self) -> bytes:
        """Return the picture."""
        width, pixels = self.width, self._pixels
        lines = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(self.height))
        return palette.png(width, self.height, lines, _PALETTE)

    def _x(self, moment: float) -> int:
        began_at, ended_at = self._spans.began_at, self._spans.ended_at
        share = (moment - began_at) / (ended_at - began_at)
        return self._left + round(min(1.0, max(0.0, share)) * (self.width - self._left - 1))

    def _box(self, span: Span, tops: list[int]) -> Box:
        top, left = tops[span.lane] + ROW * span.row + 1, self._x(span.began_at)
        # A pixel between two bars that follow each other, where there is room for it.
        right = max(left + 1, self._x(span.ended_at) - (span.count == 1))
        return Box(span, left, top, right, top + BAR)

    def _draw_bar(self, box: Box) -> None:
        state = box.span.state
        number = _NAMES.index(state)
        if state == states.SUCCESS:
            self._fill(box.left, box.top, box.right, box.bottom, number)
        else:
            self._draw_shape(box, number)
        top = box.top
        for louder, height in box.span.marks(BAR):
            self._fill(box.left, top, box.right, top + height, _NAMES.index(louder))
            # A gap tells it from the bar without its colour.
            self._fill(box.left, top + height, box.right, top + height + 1, _CLEAR)
            top += height + 1

    def _draw_shape(self, box: Box, number: int) -> None:
        state, width = box.span.state, box.right - box.left
        for y, row in enumerate(drawn_out(stencil(state, BAR), width), box.top):
            # Where it is not filled, it hides what is below.
            shown = bytes(number if row >> x & 1 else _CLEAR for x in range(width))
            self._pixels[y * self.width + box.left : y * self.width + box.right] = shown

    def _draw_wait(self, box: Box) -> None:
        if box.span.waits_from is not None:
            middle = (box.top + box.bottom) // 2
            self._fill(
                self._x(box.span.waits_from), middle, box.left, middle + 1, _NAMES.index(states.RECEIVED)
            )

    def _draw_axis(self, top: int) -> None:
        took = self._spans.ended_at - self._spans.began_at
        self._fill(self._left, top, self.width, top + 1, _LINE)
        every = tick_s(took, _TICKS)
        for number in range(int(took / every) + 1):
            x = self._x(self._spans.began_at + number * every)
            self._fill(x, 0, x + 1, top + 3, _LINE)
            label = tick_label(number * every, every)
            if x + _ADVANCE * len(label) < self.width:
                self._text(x, top + 6, label)

    def _fill(self, left: int, top: int, right: int, bottom: int, colour: int) -> None:
        if right > left:
            for y in range(max(0, top), min(self.height, bottom)):
                start = y * self.width
                self._pixels[start + left : start + right] = bytes([colour]) * (right - left)

    def _text(self, left: int, top: int, text: str) -> None:
        for number, character in enumerate(text):
            for x, column in enumerate(glyphs.columns_of(character)):
                for y in range(glyphs.HEIGHT):
                    if column >> y & 1:
                        self._pixels[(top + y) * self.width + left + number * _ADVANCE + x] = _INK


def tick_s(took: float, most: int) -> float:
    """Return the seconds between two marks of a time axis: 1, 2 or 5 times a power of ten."""
    least = max(took / most, 1e-9)
    size: float = 10.0 ** math.floor(math.log10(least))
    return next(size * step for step in (1, 2, 5, 10) if size * step >= least * 0.999)


def tick_label(seconds: float, every: float) -> str:
    """Return what stands at a mark: ``0``, ``0.5 s``, ``12 s``."""
    digits = max(0, -math.floor(math.log10(every) + 1e-9))
    return f"{seconds:.{digits}f} s" if seconds else "0"
