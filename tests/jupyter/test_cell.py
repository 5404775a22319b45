"""A task cell's source becomes a function with a cell's semantics."""

import asyncio
import inspect
import linecache
import sys
import traceback

import pytest

from nbtasks.core.errors import CellError
from nbtasks.core.globals import captures
from nbtasks.jupyter.magics.cell import read_cell, read_expression
from nbtasks.wire import pickling
from nbtasks.wire.kinds.opening import Opening, opened_in


def run(body, namespace=None, *arguments, items=(), outputs=()):
    """Run a cell as a worker does: with globals that are a copy of the notebook's."""
    namespace = {"__name__": "__main__"} if namespace is None else namespace
    function = read_cell("%%task", body, items, outputs).function(namespace, "<cell>")
    with opened_in(Opening()):
        return pickling.loads(pickling.dump_function(function))(*arguments)


def notebook(source):
    namespace = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace


#: What a notebook has, a cell, its result there.
AS_IN_A_CELL = [
    ("data = [1]\ndef total(): return sum(data)", "data = [10, 20]\ntotal()", 30),
    ("gl = 2\ndef setgl():\n    global gl\n    gl = 5", "setgl()\ngl", 5),
    ("a = 1\ndef show(): return a", "for a in range(3): pass\nshow()", 2),
    ("a = 1\ndef show(): return a", "with open(__import__('os').devnull) as a: pass\nshow().closed", True),
    ("def use(): return y.dumps([1])", "import json as y\nuse()", "[1]"),
    ("p = [1, 2]\ndef show(): return first, rest", "match p:\n    case [first, *rest]: pass\nshow()", (1, [2])),
    ("def seen(): return 'e' in globals()", "try: 1 / 0\nexcept Exception as e: x = seen()\nx, seen()", (True, False)),
    ("x = 1", "del x\n'x' in globals()", False),
    ("n = 7", "squares = [n for n in range(3)]\nlocals()\nn, squares", (7, [0, 1, 2])),
    ("n = 7", "n = 3\nclass B: n = n\nB.n", 3),
    ("def last(): return found", "[found := i for i in range(4)]\nlast()", 3),
    ("", "exec('q = 5')\nlocals()['q'], globals()['q'], vars()['q'], eval('q'), q", (5,) * 5),
    ("", "x: int = 4\ny: 'whatever' = x\nz: int\nx, y, 'z' in globals()", (4, 4, False)),
    ("", "x = 1\ndef f():\n    global x\n    x = 2\nf()\nx", 2),
    ("def helper(): return made()", "def made(): return 'made'\nhelper()", "made"),
    ("class Shape:\n    def area(self): return side ** 2", "side = 3\nShape().area()", 9),
    ("import functools\ndef area(): return side ** 2\ncall = functools.partial(area)", "side = 3\ncall()", 9),
    ("def area(): return side ** 2\nknown = {'area': [area]}", "side = 3\nknown['area'][0]()", 9),
    ("def deco(f): return lambda: f() * factor\nfactor = 1", "factor = 2\n@deco\ndef two(): return 2\ntwo()", 4),
]  # fmt: skip


@pytest.mark.parametrize(("before", "body", "result"), AS_IN_A_CELL)
def test_names_resolve_as_in_a_cell(before, body, result):
    assert run(body, notebook(before)) == result
    here = notebook(f"{before}\n" + "\n".join(body.split("\n")[:-1]))
    assert eval(body.split("\n")[-1], here) == result


def test_an_item_is_what_the_notebooks_functions_read():
    namespace = notebook("row = 0\ndef show(): return row")
    assert run("first = show()\nrow += 1\nfirst, show()", namespace, 5, items=("row",)) == (5, 6)
    assert run("_row = 2\nrow, _row", namespace, 5, items=("row",)) == (5, 2)
    assert namespace["row"] == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type aliases came with Python 3.12")
def test_a_type_alias():
    assert run("type Row = list[int]\nshow()", notebook("def show(): return Row.__value__")) == list[int]


def test_nonlocal_needs_a_function_as_in_a_cell():
    with pytest.raises(SyntaxError, match="nonlocal"):
        run("n = 0\ndef f():\n    nonlocal n\nf()")


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("1 + 1", 2),
        ("x = 3\nx * 2", 6),
        ("x = 3", None),
        ("return 5", 5),
        ("for i in range(9):\n    if i == 4:\n        return i\n0", 4),
        ("# note\n\n'text';", "text"),
        ("import math\nmath.floor(2.5)", 2),
        ("def f(n): return 1 if n < 2 else n * f(n - 1)\nf(5)", 120),
        ("class C:\n    def m(self): return C\nC().m().__name__", "C"),
        ("[a * b for a in (1, 2) for b in (3,)]", [3, 6]),
        ("'''doc'''", "doc"),
    ],
)
def test_the_last_expression_is_the_result(body, result):
    assert run(body) == result


def test_what_the_cell_assigns_stays_in_it():
    namespace = {"x": 10, "y": 5}
    assert run("x = x + y\nx", namespace) == 15
    assert namespace["x"] == 10


def test_names_are_captured_only_where_they_are_read_first():
    body = "df = load()\nn += 1\nprint(df, n, other, gone)\ngone = 1"
    cell = read_cell("%%task", body)
    assert cell.captured == ("gone", "n")
    function = cell.function({"df": "old", "n": 1, "other": 2}, "<cell>")
    assert dict(captures(function)) == {"n": 1, "other": 2}


def test_a_captured_value_is_that_of_the_submit():
    namespace = {"__name__": "__main__", "total": 1, "step": 10}
    shipped = pickling.dump_function(
        read_cell("%%task", "total += step\ntotal").function(namespace, "<cell>")
    )
    namespace.update(total=100, step=1000)
    assert pickling.loads(shipped)() == 11


def test_items_of_a_for_clause_are_parameters():
    assert run("a = a + b\na", {"a": "unused"}, 1, 2, items=("a", "b")) == 3


def test_a_global_statement_is_kept():
    assert run("global g\ng = 2\ng", {"g": 1}) == 2


@pytest.mark.parametrize(
    "body", ["await nap()", "[await nap() for _ in 'ab'][0]", "async with cm() as v:\n    return v"]
)
def test_await_at_top_level_makes_the_function_async(body):
    class Manager:
        async def __aenter__(self):
            return "slept"

        async def __aexit__(self, *exc):
            pass

    async def nap():
        return "slept"

    function = read_cell("%%task", body).function({"nap": nap, "cm": Manager}, "<cell>")
    assert inspect.iscoroutinefunction(function)
    assert asyncio.run(function()) == "slept"


def test_await_in_a_nested_function_does_not():
    cell = read_cell("%%task", "async def f():\n    await g()\nf")
    assert not inspect.iscoroutinefunction(cell.function({}, "<cell>"))


@pytest.mark.parametrize(
    ("body", "outputs", "shown", "values"),
    [
        ("a = 1", ("a",), None, {"a": 1}),
        ("a = 1\nb = 2", ("b", "a"), None, {"a": 1, "b": 2}),
        ("a = 1\na * 10", ("a",), 10, {"a": 1}),
        ("a = 1\nb = 2\na + b", ("a", "b"), 3, {"a": 1, "b": 2}),
        ("a = 1\na + 1", ("result",), 2, {"result": 2}),
        ("return 7", ("result",), 7, {"result": 7}),
    ],
)
def test_outputs(body, outputs, shown, values):
    cell = read_cell("%%task", body, outputs=outputs)
    value = cell.function({}, "<cell>")()
    assert cell.unpack(value) == (shown, values)


def test_an_output_that_may_stay_unassigned_falls_back_on_the_notebook():
    assert run("if False:\n    n = 2", {"n": 1}, outputs=("n",)) == 1


@pytest.mark.parametrize(
    ("body", "outputs", "message"),
    [
        ("", (), "the cell is empty"),
        ("  \n\n", (), "the cell is empty"),
        ("# only a note\n# another", (), "only comments"),
        ("x = 1\n!ls -l\n", (), "line 3: `!ls -l` is a shell command"),
        ("files = !ls", (), "line 2: `files = !ls` is a shell command"),
        ("%matplotlib inline\nplot()", (), "line 2: `%matplotlib inline` is a magic"),
        ("t = %timeit f()", (), "is a magic"),
        ("df.head?", (), "asks for help"),
        ("%%bash\nls", (), "begins with another cell magic, `%%bash`"),
        ("x = 1\nyield x", (), "line 3: a task cannot `yield`"),
        ("from math import *", (), "name what it needs"),
        ("a = 1", ("b",), "neither assigns b nor ends with an expression"),
        ("a = 1", ("a", "b"), "the body does not assign b"),
        ("a = 1", ("a b",), "'a b' is not a variable name"),
        ("a = 1\nreturn 2", ("a",), "line 3: with -g a the body must not `return`"),
    ],
)
def test_a_body_that_cannot_be_a_task_is_refused(body, outputs, message):
    with pytest.raises(CellError) as caught:
        read_cell("%%task", body, outputs=outputs)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "body", ["total = (1\n    % 2)\n100 % total", "s = '''\n!ls\n%magic\n'''\nlen(s)", "x = 5 != 3\nx"]
)
def test_python_that_only_looks_like_ipython_is_let_through(body):
    run(body)


def test_a_syntax_error_has_the_cells_own_line_number():
    with pytest.raises(SyntaxError) as caught:
        read_cell("%%task -b", "x = 1\ny = (")
    assert caught.value.lineno == 3
    with pytest.raises(SyntaxError) as caught:
        read_cell("%%task -b", "x = 1\nbreak").function({}, "<cell>")
    assert caught.value.lineno == 3


def test_a_traceback_shows_the_cells_own_lines():
    cell = read_cell("%%task -b", "# train\nvalue = 0\n1 / value")
    linecache.cache["<cell 7>"] = (len(cell.source), None, cell.source.splitlines(keepends=True), "<cell 7>")
    function = cell.function({}, "<cell 7>")
    with pytest.raises(ZeroDivisionError) as caught:
        function()
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.filename, frame.lineno, frame.line) == ("<cell 7>", 4, "1 / value")


@pytest.mark.parametrize(
    ("body", "label"),
    [
        ("# train baseline\nfit()", "train baseline"),
        ("\n## clean up\n# second\nx = 1", "clean up"),
        ("# noqa: E501\n# %% cell\n# real name\nx = 1", "real name"),
        ("x = 1\n# late", ""),
        ("import httpx\nr = httpx.get(url)\nlen(r.text)", "httpx.get"),
        ("x = [clean(p) for p in parts()]", ""),
        ("import time\nfor i in tqdm(range(9)):\n    time.sleep(1)\nfit(9)", "fit"),
        ("summary = model.summary(x)", "model.summary"),
        ("x = 1", ""),
        ("print(len(rows))\ntime.sleep(1)", ""),
        ("print(len(rows))", ""),
        ("# <img src=x onerror=alert(1)>\n1", "<img src=x onerror=alert(1)>"),
    ],
)
def test_label(body, label):
    assert read_cell("%%task", body).label == label


def test_annotations_as_the_notebook_has_them():
    body = "def f(x: Missing): return x\nf(1)"
    assert read_cell("%%task", body).function({}, "<cell>", annotations=True)() == 1


def test_annotations_are_kept_where_a_cell_keeps_them():
    body = "x: int = 1\nfor y in (1,):\n    z: 'text'\n(w): int = 2\n__annotations__"
    assert read_cell("%%task", body).function({}, "<cell>")() == {"x": int, "z": "text"}
    found = read_cell("%%task", "x: Missing = 1\n__annotations__").function({}, "<cell>", annotations=True)()
    assert found == {"x": "Missing"}
    space = {"__annotations__": {"old": str}}
    assert read_cell("%%task", "x: int\n__annotations__").function(space, "<cell>")() == {
        "old": str,
        "x": int,
    }


def test_annotations_of_the_notebook_travel_only_with_who_reads_them():
    space = {"__annotations__": {"old": str}}
    assert dict(captures(read_cell("%%task", "x: int = 1").function(space, "<cell>"))) == {}
    reading = read_cell("%%task", "x: int = 1\n__annotations__").function(space, "<cell>")
    assert dict(captures(reading)) == space
    body = "class C:\n    a: int = 1\nC.a"
    assert dict(captures(read_cell("%%task", body).function(space, "<cell>"))) == {}
    with pytest.raises(NameError, match="__annotations__"):
        read_cell("%%task", "__annotations__").refuse_missing({})


def test_an_expression_is_a_cell_of_one_line():
    assert read_expression("%task", "f(u, k=3)", ("u",)).function({"f": lambda u, k: u + k}, "<cell>")(1) == 4
    with pytest.raises(CellError, match="for statements use %%task"):
        read_expression("%task", "x = 1")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("gone", 2), ("model.fit(gone)", 2), ("x = 1\ny = x + gone", 3), ("import sys, ast\nsys.argv[gone]", 3),
        ("for x in gone: pass", 2), ("gone()", 2), ("with gone as f: pass", 2), ("[x for x in gone]", 2),
        ("def f(): pass\nf, gone", 3), ("{'a': gone}", 2), ("if gone: pass", 2), ("return gone", 2),
        ("x = __file__", 2),
    ],
)  # fmt: skip
def test_a_name_that_nobody_has_is_told_before_anything_is_sent(body, line):
    cell = read_cell("%%task", body)
    with pytest.raises(NameError, match=rf"name '\w+' is not defined, .*\(line {line}\)"):
        cell.refuse_missing({"model": 1, "gome": 2})


@pytest.mark.parametrize(
    "body",
    [
        "x = gone if x else 1", "x or gone", "def f(): return gone\n1", "lambda: gone", "[gone for x in x]",
        "setup()\ngone", "from nowhere import setup\ngone", "import nowhere_at_all\ngone", "gone = 1\ngone",
        "try:\n    gone\nexcept NameError:\n    gone = 1", "if x:\n    gone", "x < 1 < gone", "with x:\n    gone",
        "exec('gone = 1')\ngone", "@x\ndef f(): pass\ngone", "class C: gone", "x += gone", "print, len, __name__",
        "assert x\ngone", "def f(a=setup()): pass\ngone", "return 1\ngone", "x[setup()], gone", "del x\ngone",
        "for gone in x: pass", "import gone\ngone", "x: gone = 1", "display", "raise x\ngone",
    ],
)  # fmt: skip
def test_what_may_be_there_is_no_false_alarm(body, monkeypatch):
    import builtins

    monkeypatch.setattr(builtins, "display", print, raising=False)
    read_cell("%%task", body).refuse_missing({"x": 1, "setup": print})
