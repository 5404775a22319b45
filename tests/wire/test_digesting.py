"""Digests of values: the same in another process, and never the same for two values that differ."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nbtasks.wire.digesting import digest


def function(source, filename="<cell>", **names):
    """Return ``f`` as a notebook's cell defines it."""
    space = {"__name__": "__main__", **names}
    exec(compile(source, filename, "exec"), space)
    return space["f"]


def test_values_that_differ_have_different_digests():
    one = [1]
    values = [
        None, 0, 1, True, False, 1.0, 0.0, -0.0, 1j, "1", b"1", "", (), [], {}, set(), frozenset(),
        (1,), [1], {1}, frozenset({1}), {1: 1}, {1: 2}, {"a": 1}, {"a": {1}}, {"a": [1]}, {"a": {1, 2}}, {"a": {"1"}},
        [[1], [1]], [one, one], ({1},), [{1}], [{1}, {1}], [(x := {1}), x], {"b": 1, "a": 2}, {"a": 2, "b": 1},
        ["ab", "c"], ["a", "bc"], [{"ab"}, {"c"}], [{"a"}, {"bc"}], {frozenset({1})}, {frozenset({2})},
        np.ones(90_000), np.ones(90_001), np.ones((300, 300)), np.eye(300)[1:], np.eye(300)[1:].T, b"1" * 90_000,
        np.arange(3), np.arange(3.0), np.arange(4), np.arange(4).reshape(2, 2), np.arange(4)[::-1],
    ]  # fmt: skip
    digests = [digest(value) for value in values]
    assert None not in digests
    for (n, a), (m, b) in itertools.combinations(enumerate(digests), 2):
        assert a != b, (values[n], values[m])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x): return x + 1", "def f(x): return x + 2"),
        ("def f(x): return x + 1", "def f(x): return x + True"),
        ("def f(x): return x in {'a', 'b'}", "def f(x): return x in {'a', 'c'}"),
        ("def f(x): return x in {'a', 'b'}", "def f(x): return x in ('a', 'b')"),
        ("def f(x, y=1): return x", "def f(x, y=2): return x"),
        ("def f(x, *, y={1}): return x", "def f(x, *, y={2}): return x"),
        ("k = 1\ndef f(x): return k", "k = 2\ndef f(x): return k"),
        ("k = {1}\ndef f(x): return k", "k = [1]\ndef f(x): return k"),
        ("def g(): return 1\ndef f(x): return g()", "def g(): return 2\ndef f(x): return g()"),
        ("def f(x):\n  def g(): return 1\n  return g", "def f(x):\n  def g(): return 2\n  return g"),
        ("def m(k): return lambda x: k\nf = m({1, 'a'})", "def m(k): return lambda x: k\nf = m({1, 'b'})"),
        ("class C:\n  a = 1\ndef f(x): return C", "class C:\n  a = 2\ndef f(x): return C"),
        (
            "class C:\n  def g(self): return 1\ndef f(x): return C",
            "class C:\n  def g(self): return 2\ndef f(x): return C",
        ),
        ("def f(x):\n  try: return x\n  except ValueError: return 1", "def f(x): return x"),
        ("import math\nf = math.floor", "import math\nf = math.ceil"),
    ],
)
def test_functions_that_differ_have_different_digests(one, other):
    assert digest(function(one)) not in {None, digest(function(other))}


SOURCE = """
import enum, math
import dataclasses
k = {"one", "two", "three", "four"}
deep = {"a": [{"x", "y", "z"}, 1], "b": frozenset("pqrs")}
class Colour(enum.Enum):
    RED = "red"
@dataclasses.dataclass
class Point:
    x: int
    names = {"n", "o", "p"}
    def far(self):
        return math.hypot(self.x, len(self.names))
def make(j):
    def inner(x):
        return x in {"alpha", "beta", "gamma"} and j
    return inner
inner = make({"c", "d", "e"})
def f(x, by={"d", "e", "f"}):
    "Does it."
    return x in k, deep, Point(x).far(), inner(x), Colour.RED, [y for y in k if y not in {"u", "v"}]
"""


def test_the_same_function_has_the_same_digest_wherever_it_is_written():
    found = digest(function(SOURCE))
    assert found is not None
    assert digest(function(SOURCE)) == found
    assert digest(function("\n\n# moved\n" + SOURCE, "/tmp/ipykernel_1/2.py")) == found


def test_another_process_finds_the_same_digest():
    program = f"""
import sys
sys.path[:] = {sys.path!r}
from nbtasks.wire.digesting import digest
space = {{"__name__": "__main__"}}
exec(compile({SOURCE!r}, "<another>", "exec"), space)
value = [space["Point"](3), {{"g", "h", "i"}}, {{"j": {{"k", "l"}}}}, space["Colour"].RED]
print(digest(space["f"]).hex(), digest(value).hex())
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "None" not in said.pop()


def test_what_is_in_itself_has_a_digest_all_the_same():
    one = [1, {"a", "b"}]
    one.append(one)
    other = [2, {"a", "b"}]
    other.append(other)
    assert digest(one) not in {None, digest(other)}


def test_what_cannot_travel_has_none():
    with Path(__file__).open() as file:
        assert digest(file) is None


def test_a_generator_of_random_numbers_is_left_as_it_is():
    rng = np.random.default_rng(1)
    before = rng.bit_generator.state
    first = digest(rng)
    assert rng.bit_generator.state == before
    assert digest(np.random.default_rng(1)) == first
    rng.random()
    assert digest(rng) not in {None, first}
