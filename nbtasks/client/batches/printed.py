"""What the calls of a batch have printed: the last lines of it, each shown once, as a terminal would leave them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_MOST_LINES = 200
_MOST_CHARACTERS = 64 * 1024
#: What moves the pen: ends of lines, back to the beginning, one back, some lines up, erase the rest or the line.
_MOVES = re.compile(r"(\r*\n|\r|\x08|\x1b\[\d*[AK])")


@dataclass(eq=False)
class OutputLine:
    """One line that a call has printed; ``stream`` is stdout or stderr."""

    index: int
    stream: str
    written: str = ""
    ended: bool = False
    #: It is not among the last ones any more.
    gone: bool = False

    @property
    def text(self) -> str:
        """The line, with its end if that was printed."""
        return self.written + "\n" if self.ended else self.written


@dataclass
class _Pen:
    """Where a call writes next: in a line, which it may have begun, or below that."""

    line: OutputLine | None = None
    column: int = 0


class Printed:
    """The last lines of one batch, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[OutputLine] = deque()
        self._pens: dict[tuple[int, str], _Pen] = {}
        #: Call -> how many characters of its stdout and stderr were shown while it ran, and how often it had cleared
        #: them by then: what is kept of it is not shown a second time.
        self._shown: dict[int, list[int]] = {}

    def __iter__(self) -> Iterator[OutputLine]:
        return iter(self._lines)

    def add(self, index: int, parts: Sequence[Sequence[str]], shown: list[int]) -> None:
        """A running call has printed something: (stream, text) of each part, and how much it has printed so far."""
        self._clear_if_cleared(index, shown)
        for stream, text in parts:
            self._add(index, stream, text)
        self._shown[index] = shown

    def add_kept(self, index: int, kept: list[list[str]], shown: list[int]) -> None:
        """The same of a running call of which all is told that is kept."""
        self._add_rest(index, kept, shown)
        self._shown[index] = shown

    def end(self, index: int, kept: list[list[str]], printed: list[int] | None) -> None:
        """A call has ended: show of all that is kept of it what was not shown while it ran."""
        self._add_rest(index, kept, printed)
        self.forget(index)

    def forget(self, index: int) -> None:
        """What a call prints from now on comes from another attempt."""
        self._shown.pop(index, None)
        self._pens.pop((index, "stdout"), None)
        self._pens.pop((index, "stderr"), None)

    def _clear_if_cleared(self, index: int, printed: list[int]) -> None:
        shown = self._shown.get(index)
        if shown is not None and printed[2] > shown[2]:
            self._lines = deque(line for line in self._lines if line.index != index)
            self.forget(index)

    def _add_rest(self, index: int, kept: list[list[str]], printed: list[int] | None) -> None:
        if printed is not None:
            self._clear_if_cleared(index, printed)
        shown = self._shown.get(index)
        if shown is None or printed is None:
            rest = kept
        else:
            rest = _last_of(kept, [count - seen for count, seen in zip(printed[:2], shown[:2], strict=True)])
        for stream, text in rest:
            self._add(index, stream, text)

    # -- as a terminal does

    def _add(self, index: int, stream: str, text: str) -> None:
        name = "stdout" if stream == "o" else "stderr"
        pen = self._pens.get((index, name))
        if pen is None:
            pen = self._pens[index, name] = _Pen()
        text = _end_of(text)
        for piece in _MOVES.split(text):
            if not piece:
                continue
            if piece[-1] == "\n":
                self._end_line(pen, index, name)
            elif piece in ("\r", "\b"):
                pen.column = 0 if piece == "\r" else max(0, pen.column - 1)
            elif _MOVES.fullmatch(piece):
                self._move(pen, index, name, piece)
            else:
                self._write(pen, index, name, piece)

    def _write(self, pen: _Pen, index: int, stream: str, text: str) -> None:
        line = self._line_of(pen, index, stream)
        before = line.written
        end = pen.column + len(text)
        if pen.column >= len(before):
            line.written = before + text
        elif "\x1b" in before or "\x1b" in text:
            # Colours take no room on a screen: what such a line had behind this is not told.
            line.written = before[: pen.column] + text
        else:
            line.written = before[: pen.column] + text + before[end:]
        pen.column = end

    def _line_of(self, pen: _Pen, index: int, stream: str) -> OutputLine:
        if pen.line is None or pen.line.gone:
            pen.line, pen.column = OutputLine(index, stream), 0
            if len(self._lines) >= _MOST_LINES:
                self._lines.popleft().gone = True
            self._lines.append(pen.line)
        return pen.line

    def _end_line(self, pen: _Pen, index: int, stream: str) -> None:
        line = self._line_of(pen, index, stream)
        # After a move upwards there are lines below.
        below = self._next_to(line, 1) if line.ended else None
        line.ended = True
        pen.line, pen.column = below, 0

    def _move(self, pen: _Pen, index: int, stream: str, move: str) -> None:
        if move[-1] == "K":
            if pen.line is not None:
                pen.line.written = "" if move == "\x1b[2K" else pen.line.written[: pen.column]
            return
        if pen.line is None or pen.line.gone:
            pen.line = next((line for line in reversed(self._lines) if _is_of(line, index, stream)), None)
            steps = int(move[2:-1] or 1) - 1
        else:
            steps = int(move[2:-1] or 1)
        for _ in range(min(steps, _MOST_LINES)):
            above = pen.line and self._next_to(pen.line, -1)
            if above is None:
                break
            pen.line = above

    def _next_to(self, line: OutputLine, step: int) -> OutputLine | None:
        """Return the next line of the same call and stream below, or above; None where there is none."""
        lines = list(self._lines)
        at = next((place for place, one in enumerate(lines) if one is line), None)
        if at is None:
            return None
        others = lines[at + 1 :] if step > 0 else lines[:at][::-1]
        return next((one for one in others if _is_of(one, line.index, line.stream)), None)


def _is_of(line: OutputLine, index: int, stream: str) -> bool:
    return line.index == index and line.stream == stream


def _end_of(text: str) -> str:
    """Return so much of the end of a text as can be shown."""
    text = text[-_MOST_CHARACTERS:]
    ends = text.count("\n")
    return text if ends <= _MOST_LINES else "\n".join(text.split("\n")[ends - _MOST_LINES :])


def _last_of(parts: list[list[str]], wanted: list[int]) -> list[list[str]]:
    """Return so many of the last characters of stdout and of stderr, in their order."""
    left_out = [-count for count in wanted]
    for stream, text in parts:
        left_out[stream == "e"] += len(text)
    rest = []
    for stream, text in parts:
        cut = min(max(0, left_out[stream == "e"]), len(text))
        left_out[stream == "e"] -= cut
        if cut < len(text):
            rest.append([stream, text[cut:]])
    return rest


def copied(lines: Iterable[OutputLine]) -> list[OutputLine]:
    """Return lines that may be added to meanwhile, on the listener's thread."""
    while True:
        try:
            return list(lines)
        except RuntimeError:
            continue
