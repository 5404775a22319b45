"""Names that nobody defines are told before a cell is sent, and no others."""

import sys

import pytest

from nbtasks.jupyter.magics.cell import read_cell


def doubts(body, items=(), **namespace):
    return read_cell("%%task", body, items).doubts(namespace)


@pytest.mark.parametrize(
    ("body", "name", "line"),
    [
        ("print('first')\nhelper(3)", "helper", 3),
        ("def f():\n    return helper(1)\nf()", "helper", 3),
        (
            "def f():\n    def g():\n        return [helper(n) for n in range(3)]\n    return g()\nf()",
            "helper",
            4,
        ),
        ("print(1)\n[n * factor for n in range(3)]", "factor", 3),
        ("class A:\n    size = factor\nA()", "factor", 3),
        ("class A:\n    def f(self):\n        return factor\nA()", "factor", 4),
        ("print(f'{1}: {factor:>{width}}')", "factor", 2),
        ("print(1)\n@wrapped\ndef f(): pass", "wrapped", 3),
        ("print(1)\ndef f(n=factor): pass", "factor", 3),
        ("f = lambda n: n + factor\nprint(f(1))", "factor", 2),
        ("if input:\n    helper()", "helper", 3),
        ("for n in range(3):\n    total += n * factor", "factor", 3),
        ("print(1)\nawait helper()", "helper", 3),
        ("try:\n    helper()\nexcept ValueError:\n    pass", "helper", 3),
    ],
)
def test_a_name_that_nobody_defines_is_told_with_its_line(body, name, line):
    assert f"{name!r} (line {line}" in doubts(body, total=0, width=3)


RIGHT = [
    "print(1)\nx = 1\nprint(x)",
    "def f():\n    return later\nlater = 3\nf()",
    "def init():\n    global cache\n    cache = {}\ninit()\nprint(cache)",
    "[a + b for a, b in [(1, 2)] if (c := a)]\nprint(c)",
    "print({k: v for k, v in {}.items()}, {s for s in []}, list(g for g in []))",
    "class A:\n    x = 1\n    y = x + 1\n    def f(self): return __class__, self.x\nprint(A)",
    "def f(a, *args, b=1, **more):\n    return a, args, b, more\nf(1)",
    "import os.path, json as j\nfrom sys import argv as given\nprint(os, j, given)",
    "with open('x') as file, open('y') as (a, *b):\n    print(file, a, b)",
    "try:\n    print(1)\nexcept (ValueError, OSError) as error:\n    print(error)",
    "try:\n    unknown\nexcept NameError:\n    unknown = None\nprint(unknown)",
    "try:\n    import fast\n    quick = fast.quick\nexcept Exception:\n    quick = None\nprint(quick, fast)",
    "try:\n    unknown()\nexcept:\n    pass",
    "exec('made = 1')\nprint(made)",
    "globals()['made'] = 1\nprint(made)",
    "import builtins\nbuiltins.made = 1\nprint(made)",
    "if print:\n    x = 1\nelse:\n    y = 2\nprint(x, y)",
    "x = 1\ndel x\nx = 2\nprint(x)",
    "print(__name__, _, __, _3, _i, __doc__)",
    "def f(x: Unknown) -> Unknown:\n    y: Unknown = x\n    return y\nf(1)",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas as pd\n    Frame = pd.DataFrame\nprint(1)",
    "def outer():\n    x = 1\n    def inner():\n        nonlocal x\n        x += 1\n    return inner()\nouter()",
    "def f(n):\n    return f(n - 1) if n else 0\nf(3)",
    "print(f'{known!r:>{known}}')",
    "for n in range(3):\n    pass\nprint(n, item)",
    "setup()\nprint(made_by_setup)",
    "async def f():\n    async with known as x:\n        return [y async for y in x]\nawait f()",
    "match known:\n    case {'a': a, **rest}: print(a, rest)\n    case [b, *c] | (b as c): print(b, c)",
]


def setup_of(namespace):
    exec("def setup():\n    global made_by_setup\n    made_by_setup = 1", namespace)
    return namespace


@pytest.mark.parametrize("body", RIGHT)
def test_right_cells_are_sent_without_a_word(body):
    namespace = setup_of({"known": 1})
    assert read_cell("%%task for item in x", body, ("item",)).doubts(namespace) == ""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="from Python 3.12 on")
@pytest.mark.parametrize(
    "body", ["def f[T](x: T) -> T:\n    return T\nf(1)", "class A[T]: x: T\ntype B = A[int]\nprint(B)"]
)
def test_type_parameters_are_names(body):
    assert doubts(body) == ""


def test_what_is_alike_is_offered():
    assert "did you mean 'helper'?" in doubts("print(1)\nhelpr(3)", helper=print)
