"""Values in a few characters: as Python spells its own, and without running code of anybody else's."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest

from nbtasks.core.brief import brief


class Color(enum.Enum):
    RED = 1


@dataclass
class Row:
    x: int
    secret: str = field(default="s", repr=False)


@dataclass
class Loud:
    x: int

    def __repr__(self):
        raise SystemExit("asked")


class Point(NamedTuple):
    x: Any
    y: Any


class Evil:
    """Does something with whatever is asked of it."""

    def __getattribute__(self, name):
        raise SystemExit(f"asked for {name}")

    def __repr__(self):
        raise SystemExit("asked for its text")

    __str__ = __len__ = __iter__ = __repr__


@pytest.mark.parametrize(
    "value",
    [
        0, -17, True, None, 1.5, 2j, "a'b", b"raw", [], [1, 2], (), (1,), (1, "b"), {1}, set(), frozenset({1}), {},
        {"a": [1, {"b": None}]}, dt.date(2030, 1, 2), dt.datetime(2030, 1, 2, tzinfo=dt.timezone.utc),
        dt.timedelta(1), Decimal("1.5"), Fraction(1, 3), PurePosixPath("/a"), Row(1), Point(1, "b"), ...,
    ],
)  # fmt: skip
def test_what_is_small_and_pythons_own_is_as_python_has_it(value):
    assert brief(value) == repr(value)


def test_a_path_is_written_as_it_is_made():
    assert brief([Path("in/00.jpg")]) == "[Path('in/00.jpg')]"


def test_what_is_long_is_cut():
    assert brief(10**6000) == "<int of 6,001 digits>"
    assert brief(range(10**6000)).startswith("range(0, <int of")
    assert brief(list(range(100))) == "[0, 1, 2, 3, 4, 5, ...]"
    assert len(brief("x" * 10**7)) < 70
    assert len(brief(b"x" * 10**7)) < 70
    assert len(brief(dict.fromkeys(range(1000), "y" * 50))) < 500
    laughs = ["ha"]
    for _ in range(60):
        laughs = [laughs] * 60
    assert len(brief(laughs)) < 1000
    endless = []
    endless.append(endless)
    assert len(brief(endless)) < 100


def test_nothing_of_the_users_runs():
    assert brief(Evil()) == "<Evil>"
    assert brief([Evil(), {"a": Evil()}]) == "[<Evil>, {'a': <Evil>}]"
    assert brief(Loud(1)) == "<Loud>"
    assert brief(Color.RED) == "Color.RED"
    assert brief(type("Text", (str,), {"__repr__": Evil.__repr__})("a")) == "<Text>"
    assert brief(type("list", (list,), {"__iter__": Evil.__repr__})([1])) == "<list>"
    assert brief(np.zeros((2, 3))) == "<2 x 3 ndarray>"
    zone = type("Zone", (dt.tzinfo,), {"__repr__": Evil.__repr__})()
    assert brief(dt.datetime(2030, 1, 2, tzinfo=zone)) == "<datetime>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.1) + np.float64(0.2), "0.30000000000000004"),
        (np.float32(1) / np.float32(3), "0.33333334"),
        (np.int64(-7), "-7"),
        (np.True_, "True"),
        (np.complex64(1 + 2j), "(1+2j)"),
        (np.datetime64("2026-01-01"), "2026-01-01"),
        (np.str_("it's"), '"it\'s"'),
        (np.arange(3), "array([0, 1, 2])"),
        (np.array(2.5), "array(2.5)"),
        (np.zeros((2, 2)), "<2 x 2 ndarray>"),
        (np.arange(100), "<100 ndarray>"),
        ([np.int8(1), {"loss": np.float64(0.5)}], "[1, {'loss': 0.5}]"),
    ],
)
def test_numbers_of_numpy_are_spelled_out(value, text):
    assert brief(value) == text


def test_an_array_of_anything_else_is_only_named():
    array = np.empty(2, dtype=object)
    array[:1].fill(Evil())
    assert brief(array) == "<2 ndarray>"
