"""A name that a cell assigns is captured only where the cell may read the notebook's value first."""

import ast
import sys

import pytest

from nbtasks.jupyter.magics.names import bound_names, read_before_bound


def exposed(source, *known):
    return read_before_bound(ast.parse(source).body, known)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1; y: int = 2; z += 1", {"x", "y", "z"}),
        ("import os.path, numpy as np\nfrom a import b as c", {"os", "np", "c"}),
        ("for i, (a, *b) in xs: pass\nwith f() as g, h() as (k, l): pass", {"i", "a", "b", "g", "k", "l"}),
        ("def f(a): inner = a\nclass C: attr = 1", {"f", "C"}),
        ("[n for n in xs]; {k: v for k, v in xs}; lambda q: q", set()),
        ("[last := n for n in xs]", {"last"}),
        ("if (m := f()): pass", {"m"}),
        ("try: pass\nexcept E as err: pass", {"err"}),
        ("global g\ng = 1", set()),
        ("del x", {"x"}),
        ("o.attr = 1; d['k'] = 2", set()),
        ("match p:\n case {'a': a, **rest}: pass\n case [b, *c] | (b, *c): pass\n case _ as d: pass",
         {"a", "rest", "b", "c", "d"}),
    ],
)  # fmt: skip
def test_bound_names(source, names):
    assert bound_names(ast.parse(source).body) == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1; x", set()),
        ("x = x + 1", {"x"}),
        ("x += 1", {"x"}),
        ("print(x); x = 1", {"x"}),
        ("df = load(); df.sum()", set()),
        ("import pandas as pd; pd.DataFrame()", set()),
        ("if c: x = 1\nx", {"x"}),
        ("if c: x = 1\nelse: x = 2\nx", set()),
        ("if c: raise E\nelse: x = 2\nx", set()),
        ("for i in xs: x = i\nx, i", {"x", "i"}),
        ("for i in xs: i", set()),
        ("x = 0\nfor x in xs: pass\nx", set()),
        ("while c:\n  y = x\n  x = 1", {"x"}),
        ("with open(p) as f:\n  data = f.read()\ndata", set()),
        ("with suppress(E):\n  data = f()\ndata", {"data"}),
        ("try: x = 1\nexcept E: pass\nx", {"x"}),
        ("try: x = 1\nexcept E: raise\nx", set()),
        ("try: x = f()\nexcept E as err: x = err\nx", set()),
        ("try: x = 1\nfinally: y = 2\nx, y", set()),
        ("def f(): return helper()\nhelper = 1", {"helper"}),
        ("def f(n): return f(n - 1)\nf(3)", {"f"}),
        ("def f():\n  x = 1\n  return x\nx = 2", set()),
        ("def f(x): return x\nx = 2", set()),
        ("def f(a=x): pass\nx = 2", {"x"}),
        ("[x for x in xs]\nx = 1", set()),
        ("[y for y in x]\nx = 1", {"x"}),
        ("x = 1\ndel x\nx", {"x"}),
        ("x: int\nx", {"x"}),
        ("match x:\n case 1: y = 1\n case _: y = 2\ny\nx = 1", {"x", "y"}),
        ("match p:\n case [a]: a", set()),
        ("class C:\n  y = x\nx = 1", {"x"}),
        ("f'{x}'; x = 1", {"x"}),
    ],
)
def test_names_read_before_they_are_surely_bound(source, names):
    assert exposed(source) == names


def test_a_parameter_is_bound_from_the_start():
    assert exposed("u = u + 1; v = v + 1", "u") == {"v"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="except* came with Python 3.11")
def test_except_star():
    assert exposed("try: x = 1\nexcept* E: pass\nx") == {"x"}
