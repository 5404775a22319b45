"""Whether a function has to be shipped again: in doubt, yes."""

from __future__ import annotations

import json
import math

import pytest

from nbtasks.client.submitting.fingerprint import fingerprint, same


def made(source, **names):
    """Run a cell's source and return its ``f``."""
    space = {"__name__": "__main__", **names}
    exec(compile(source, "<cell>", "exec"), space)
    return space["f"], space


def unchanged(function, change):
    """Whether a function counts as the same after a change."""
    before = fingerprint(function)
    change()
    return same(before, fingerprint(function))


def nothing():
    """Change nothing."""


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return x + 1",
        "n = 5\ndef f(x): return x + n",
        "pair = (1, 'a')\ndef f(x, y=2, *, z=3): return pair",
        "def g(x): return x\ndef f(x): return g(x)",
        "def f(n): return n and f(n - 1)",
        "f = lambda x: x",
    ],
)
def test_what_cannot_change_is_not_shipped_again(source):
    function, _ = made(source)
    assert unchanged(function, nothing)


def test_installed_modules_do_not_change():
    function, _ = made("def f(x): return math.sqrt(json.loads(x))", math=math, json=json)
    assert unchanged(function, nothing)


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("n = 5\ndef f(x): return x + n", "n = 6"),
        ("n = 1\ndef f(x): return x + n", "n = True"),
        ("n = 1\ndef f(x): return x + n", "n = 1.0"),
        ("n = 0.0\ndef f(x): return x + n", "n = -0.0"),
        ("n = 0j\ndef f(x): return x + n", "n = complex(0.0, -0.0)"),
        ("n = (0.0, 1)\ndef f(x): return x + n", "n = (-0.0, 1)"),
        ("def f(x, n=0.0): return n", "f.__defaults__ = (-0.0,)"),
        ("class S(str): pass\nn = 'a'\ndef f(x): return n", "n = S('a')"),
        ("import random\nf = random.Random(1).random", "f.__self__.seed(2)"),
        ("items = []\nadd = items.append\ndef f(x): return add(x)", "items.append(1)"),
        ("def g(x): return x\ndef f(x): return g(x)", "def g(x): return -x"),
        ("pair = (1, 2)\ndef f(x): return pair", "pair = (1, 3)"),
        ("def f(x): return missing", "missing = 1"),
        ("n = 1\ndef f(x): return n", "del n"),
    ],
)
def test_a_change_is_seen(source, change):
    function, space = made(source)
    assert not unchanged(function, lambda: exec(change, space))


@pytest.mark.parametrize(
    "source",
    [
        "data = []\ndef f(x): return data",
        "data = {}\ndef f(x): return data",
        "class C: pass\ndef f(x): return C",
        "class C: pass\nc = C()\ndef f(x): return c",
        "def f(x, into=[]): return into",
        "def f(x): return 1\nf.calls = 0",
    ],
)
def test_what_may_change_unseen_is_shipped_every_time(source):
    function, _ = made(source)
    assert not unchanged(function, nothing)
