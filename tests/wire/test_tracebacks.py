"""Tracebacks travel as data and come back with every frame in its place."""

from __future__ import annotations

import linecache
import sys
import textwrap
import traceback

import pytest

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


FAILING = (
    'x["b"] + 1', "f(1/0)", "1 + (2 / 0)", "None.foo", "nope", "None < 3", "-f", '"a".join([1])', "[i/0 for i in [1]]",
    'x.get(1).foo', "y += None", 'x["q"]["r"] = 3', '(x\n  .get(1)\n  .foo(2))', '"äöü" + 3',
    "f(\n  1,\n  2)",
    # From 3.13 on Python names what stands in it, and not which of its instructions has failed.
    *(() if sys.version_info >= (3, 13) else ("for i in 3: pass", "with 3: pass")),
)  # fmt: skip


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python 3.10 does not know where in its line a frame is"
)
@pytest.mark.parametrize("code", FAILING)
def test_the_failing_expression_is_found_as_in_the_frame_itself(code):
    """IPython marks it by what `executing` finds: it must take the rebuilt frame for one of this source."""
    executing = pytest.importorskip("executing")
    name = f"<a cell of test_tracebacks: {code}>"
    source = "def g(x, f):\n    y = 1\n" + textwrap.indent(code, "    ") + "\n"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    space = {}
    exec(compile(source, name, "exec"), space)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each another one
        space["g"]({}, len)
    tb = raised.tb.tb_next
    again = tracebacks.from_data(tracebacks.to_data(tb))
    assert traceback.format_tb(again) == traceback.format_tb(tb)

    def found(tb):
        node = executing.Source.executing(tb).node
        assert node is not None
        return type(node), node.lineno, node.col_offset, node.end_lineno, node.end_col_offset

    assert found(again) == found(tb)


def test_variables_are_those_of_the_last_frames():
    data = tracebacks.to_data(raised())
    again = tracebacks.from_data(data, [({"y": 0}, {"LIMIT": 3})])
    assert "y" not in again.tb_frame.f_locals
    inner = again.tb_next.tb_frame
    assert (inner.f_locals, inner.f_globals["LIMIT"]) == ({"y": 0}, 3)
