"""Tracebacks as data, and back: frames that show the notebook's own lines, in the right place, with their carets.

tblib does much of this, but a rebuilt frame of its own begins at the failing line; IPython counts from there and
shows other lines.
"""

from __future__ import annotations

import ast
import itertools
import traceback
from types import CodeType, FrameType, TracebackType
from typing import Any

#: Frames of a traceback that travel; the innermost are kept.
_MOST_FRAMES = 60

#: file, function, its first line, line, last line, first column, last column
FrameData = tuple[str, str, int, int, int, int, int]


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


def from_data(frames: list[FrameData]) -> TracebackType | None:
    """Rebuild a traceback. Its frames have no local variables."""
    tb: TracebackType | None = None
    for data in reversed(frames):
        stub = _stub(data)
        tb = TracebackType(tb, stub.tb_frame, stub.tb_lasti, data[3])
    return tb


def without_own_frames(tb: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of nbtasks above the task's own."""
    while tb is not None and _is_own(tb.tb_frame):
        tb = tb.tb_next
    return tb


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".", maxsplit=1)[0] == "nbtasks"


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


def _stub(data: FrameData) -> TracebackType:
    """Return the traceback of one frame that has raised at the wanted place."""
    file, name, first, line, end_line, column, end_column = data
    # A function may begin after a line of its own that fails, as comprehensions do: count from the lower one.
    first = min(first, line)
    place = {
        "lineno": line - first + 1,
        "end_lineno": end_line - first + 1,
        "col_offset": column,
        "end_col_offset": end_column,
    }
    raising = ast.Raise(exc=ast.Name(id="error", ctx=ast.Load(), **place), cause=None, **place)
    code = compile(ast.Module(body=[raising], type_ignores=[]), file, "exec")
    changes: dict[str, Any] = {"co_name": name, "co_firstlineno": first}
    if hasattr(code, "co_qualname"):
        changes["co_qualname"] = name
    error = _Place()
    try:
        exec(code.replace(**changes), {"__name__": file, "__file__": file, "error": error})
    except _Place as raised:
        own = raised.__traceback__
        assert own is not None
        assert own.tb_next is not None
        return own.tb_next
    raise AssertionError(traceback.format_exc())


class _Place(Exception):
    """Raised in a stub, for its frame."""
