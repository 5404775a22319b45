"""Tracebacks travel as data and come back with every frame in its place."""

from __future__ import annotations

import linecache
import sys
import traceback

from nbtasks.wire.errors import tracebacks

SOURCE = """\
# a cell

def outer(x):
    y = x
    return inner(y)

def inner(y):
    return 1 / y
"""


def raised():
    """The traceback of a function that exists in memory only, as cells do."""
    name = "<a cell of test_tracebacks>"
    linecache.cache[name] = (len(SOURCE), None, SOURCE.splitlines(True), name)
    space = {"__name__": "__main__"}
    exec(compile(SOURCE, name, "exec"), space)
    try:
        space["outer"](0)
    except ZeroDivisionError as error:
        return error.__traceback__.tb_next


def test_frames_keep_file_name_and_line():
    again = tracebacks.from_data(tracebacks.to_data(raised()))
    frames = traceback.extract_tb(again)
    assert [(frame.name, frame.lineno, frame.line) for frame in frames] == [
        ("outer", 5, "return inner(y)"),
        ("inner", 8, "return 1 / y"),
    ]


def test_frames_begin_where_their_functions_do():
    """IPython counts the lines that it shows from there."""
    again = tracebacks.from_data(tracebacks.to_data(raised()))
    assert again.tb_frame.f_code.co_firstlineno == 3
    assert again.tb_next.tb_frame.f_code.co_firstlineno == 7


def test_the_place_within_the_line_is_kept():
    if sys.version_info < (3, 11):
        return
    again = tracebacks.from_data(tracebacks.to_data(raised()))
    assert traceback.format_tb(again) == traceback.format_tb(raised())


def test_no_traceback_stays_none():
    assert tracebacks.from_data(tracebacks.to_data(None)) is None


def test_the_innermost_frames_of_a_deep_recursion_are_kept():
    def dive(depth):
        return 1 / 0 if depth == 0 else dive(depth - 1)

    try:
        dive(200)
    except ZeroDivisionError as error:
        data = tracebacks.to_data(error.__traceback__)
    assert len(data) == 60
    assert traceback.extract_tb(tracebacks.from_data(data))[-1].name == "dive"
