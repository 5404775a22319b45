"""Of the variables of frames that have failed, small values travel as they are, and texts of the others."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass

import pytest

from nbtasks.wire.errors import variables

LIMIT = 7


class Model:
    def __init__(self):
        self.weights = [0.5, 2.0]
        self.password = "hunter2"

    def __repr__(self):
        return "<the model>"


def of_innermost(function, *args):
    """The variables of the frame in which a function fails, there and back."""
    with pytest.raises(ZeroDivisionError) as raised:
        function(*args)
    return variables.unpack(variables.pack(raised.tb))[-1]


def test_small_values_travel_as_they_are():
    def fails(row, names):
        total = {"a": (row, None), "b": {1, 2}}
        return LIMIT / (row - row) / len(total)

    own, others = of_innermost(fails, 3, ["x"])
    assert own == {"row": 3, "names": ["x"], "total": {"a": (3, None), "b": {1, 2}}}
    assert others == {"LIMIT": 7}


def test_of_other_values_their_text_and_attributes_travel():
    def fails(model, many):
        return len(many) / 0 if model else None

    own, _ = of_innermost(fails, Model(), list(range(1_000_000)))
    assert repr(own["model"]) == "<the model>"
    assert own["model"].weights == [0.5, 2.0]
    assert repr(own["many"]).startswith("[0, 1, 2, ")
    assert len(repr(own["many"])) <= 1000
    with pytest.raises(AttributeError, match="%tasks debug"):
        _ = own["model"].other


def test_values_with_the_names_of_secrets_stay():
    def fails(api_key, tokens, model):
        password = "hunter2"
        return 1 / 0 if api_key and tokens and model and password else None

    own, _ = of_innermost(fails, "s3cret", ["a", "token"], Model())
    assert own["tokens"] == ["a", "token"]
    for hidden in (own["api_key"], own["password"], own["model"].password):
        assert "hidden" in repr(hidden)


def test_what_has_no_readable_text_fails_nothing():
    class Odd:
        def __repr__(self):
            raise SystemExit

        def __getattribute__(self, name):
            raise RuntimeError

    def fails(odd):
        return 1 / 0 if odd is not None else None

    own, _ = of_innermost(fails, Odd())
    assert "without a readable text" in repr(own["odd"])


def test_slow_texts_are_not_asked_for_without_end():
    class Slow:
        def __repr__(self):
            asked.append(1)
            time.sleep(0.1)
            return "slow"

    asked: list[int] = []

    def fails(items):
        a = b = c = d = e = f = g = h = i = j = items[0]
        return 1 / 0 if (a, b, c, d, e, f, g, h, i, j) else None

    of_innermost(fails, [Slow()])
    assert len(asked) < 10


def test_they_take_no_more_room_than_they_may():
    def fails(depth, text):
        more = [text] * 10
        return 1 / 0 if depth == 0 else fails(depth - 1, text) + len(more)

    with pytest.raises(ZeroDivisionError) as raised:
        fails(500, "x" * 500)
    data = variables.pack(raised.tb)
    assert 0 < len(data) <= variables.MOST_BYTES
    assert len(variables.unpack(data)) <= 20


@dataclass
class Harmful:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize("data", [[({"x": ("v", Harmful())}, {})], {"no": "list"}, [({},)] * 1000])
def test_nothing_but_plain_values_is_read(data, capsys):
    with pytest.raises(ValueError, match=r"small value|own types|no list|to unpack"):
        variables.unpack(pickle.dumps(data, protocol=5))
    assert capsys.readouterr().out == ""
