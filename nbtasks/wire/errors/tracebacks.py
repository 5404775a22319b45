"""Tracebacks as data, and back: frames that show the notebook's own lines, in the right place, with their carets.

tblib does much of this, but a rebuilt frame of its own begins at the failing line; IPython counts from there and
shows other lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType, TracebackType
from typing import Any

from nbtasks.wire.modules.origin import is_installed

from .places import RaisedAt, raised_at

#: Frames of a traceback that travel; the innermost are kept.
_MOST_FRAMES = 60

#: file, function, its first line, line, last line, first column, last column
FrameData = tuple[str, str, int, int, int, int, int]
#: Local variables of a frame, and globals that it has read.
Variables = tuple[Mapping[str, Any], Mapping[str, Any]]
#: Each returns the name under which a file of a rebuilt frame is shown best here.
shown_as: list[Callable[[str], str]] = []


def to_data(tb: TracebackType | None) -> list[FrameData]:
    """Return the frames of a traceback, outermost first."""
    found, tb = [], innermost(tb, _MOST_FRAMES)
    while tb is not None:
        found.append(_frame_data(tb))
        tb = tb.tb_next
    return found


def innermost(tb: TracebackType | None, most: int) -> TracebackType | None:
    """Return the last frames of a traceback. Endless recursion may have a million, and each costs to be looked at."""
    end, kept = tb, tb
    for _ in range(most):
        if end is None:
            return tb
        end = end.tb_next
    while end is not None:
        assert kept is not None
        end, kept = end.tb_next, kept.tb_next
    return kept


def from_data(frames: Sequence[FrameData], seen: Sequence[Variables] = ()) -> TracebackType | None:
    """Rebuild a traceback.

    Args:
        seen: the variables of the last frames.
    """
    tb: TracebackType | None = None
    for data, variables in itertools.zip_longest(reversed(frames), reversed(seen)):
        if data is not None:
            own, others = variables or ({}, {})
            tb = raised_at(RaisedAt(_known_as(data[0]), *data[1:]), own, others, tb)
    return tb


def _known_as(file: str) -> str:
    for name in shown_as:
        file = name(file)
    return file


def without_own_frames(tb: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of nbtasks above the task's own."""
    while tb is not None and is_own(tb.tb_frame):
        tb = tb.tb_next
    return tb


def is_own(frame: FrameType) -> bool:
    """Whether a frame is one of nbtasks."""
    return str(frame.f_globals.get("__name__", "")).split(".", maxsplit=1)[0] == "nbtasks"


def is_of_library(frame: FrameType) -> bool:
    """Whether a frame is one of something that was installed, Python included."""
    file, name = frame.f_code.co_filename, str(frame.f_globals.get("__name__", ""))
    # What lies in no file is a cell, but for what Python has frozen.
    return is_installed(name, file) if not file.startswith("<") else file.startswith("<frozen")


def _frame_data(tb: TracebackType) -> FrameData:
    code = tb.tb_frame.f_code
    line, end_line, column, end_column = _position(code, tb)
    return (code.co_filename, code.co_name, code.co_firstlineno, line, end_line, column, end_column)


def _position(code: CodeType, tb: TracebackType) -> tuple[int, int, int, int]:
    line = tb.tb_lineno or code.co_firstlineno
    if hasattr(code, "co_positions"):
        place = next(itertools.islice(code.co_positions(), tb.tb_lasti // 2, None), None)
        if place is not None and None not in place:
            start, end, column, end_column = place
            return start, end, column, end_column
    return line, line, 0, 0
