"""What workers tell of calls: what is written is read as the same, what makes no sense is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core.calloutput import CallOutput
from nbtasks.core.events import (
    Advanced,
    Displayed,
    GivenBack,
    Progressed,
    Refusal,
    Retried,
    Started,
    Wrote,
    from_wire,
    to_wire,
)
from nbtasks.core.outputs import RichOutput
from nbtasks.core.progressbar import ProgressBar

some = settings(max_examples=60, deadline=None, derandomize=True)
texts = st.text('aü漢\n"', max_size=8)
counts, seconds = st.integers(0, 2**40), st.floats(0, 1e9)
parts = st.lists(st.tuples(st.sampled_from("oe"), texts).map(list), max_size=2)
outputs = st.builds(
    RichOutput,
    st.fixed_dictionaries(
        {"text/plain": texts}, optional={"application/x+json": st.lists(counts), "image/png": texts}
    ),
    st.dictionaries(texts, texts, max_size=1),
    st.none() | texts,
)
bars = st.builds(
    ProgressBar, seconds, st.none() | seconds, texts, texts, texts, seconds, st.none() | seconds, counts,
    st.booleans(),
)  # fmt: skip
events = st.one_of(
    st.builds(Started, counts, seconds, counts),
    st.builds(Progressed, counts, seconds, st.none() | seconds, texts),
    st.builds(Wrote, counts, parts, st.tuples(counts, counts, counts).map(list), st.booleans()),
    st.builds(Displayed, counts, st.lists(st.tuples(counts, outputs), max_size=2), counts),
    st.builds(Advanced, counts, st.lists(bars, max_size=3)),
    st.builds(Retried, counts, seconds, texts),
    st.builds(GivenBack, counts, counts),
    st.builds(Refusal, counts, counts, texts, st.booleans()),
)


@some
@given(events)
def test_what_is_written_is_read_as_the_same(event):
    assert from_wire(json.loads(json.dumps(to_wire(event)))) == event


@pytest.mark.parametrize(
    "wire",
    [None, [], "started", {}, {"t": 1}, {"t": "started"}, {"t": "started", "i": "0"}, {"t": "started", "i": -1},
     {"t": "started", "i": True}, {"t": "started", "i": 0, "s": "1"}, {"t": "progress", "i": 0, "d": float("nan")},
     {"t": "progress", "i": 0, "m": 1}, {"t": "output", "i": 0}, {"t": "output", "i": 0, "o": [["x", "text"]]},
     {"t": "output", "i": 0, "o": [["o"]]}, {"t": "output", "i": 0, "o": [["o", 1]]},
     {"t": "output", "i": 0, "o": [], "u": [1]}, {"t": "given", "i": 0, "n": 1.5}, {"t": "refused", "i": 0, "g": "1"},
     {"t": "display", "i": 0, "o": [[1]]}, {"t": "bars", "i": 0, "b": 1}],
)  # fmt: skip
def test_what_makes_no_sense(wire):
    with pytest.raises(ValueError, match=r"is no|is neither|lacks"):
        from_wire(wire)


given_out = st.builds(
    CallOutput,
    parts,
    st.none() | st.tuples(counts, counts, counts).map(list),
    st.lists(outputs, max_size=2),
    st.lists(bars, max_size=2),
    st.none() | outputs,
)


@some
@given(given_out)
def test_what_a_call_has_given_out_is_read_as_the_same(given):
    assert CallOutput.from_wire(json.loads(json.dumps(given.to_wire()))) == given


@pytest.mark.parametrize(
    "wire",
    [None, [], {"o": [["x", "text"]]}, {"u": [1, 2]}, {"d": {}}, {"d": [{}]}, {"d": [{"d": {"no type": "x"}}]},
     {"d": [{"d": {"text/html": 1}}]}, {"d": [{"d": {"image/png": ["x"]}}]}, {"d": [{"d": {}, "i": 1}]},
     {"d": [{"d": {}, "i": "x" * 1000}]}, {"d": [{"d": {}}] * 1000}, {"b": [1]}, {"b": [{"d": -1}]}, {"v": "text"}],
)  # fmt: skip
def test_what_makes_no_sense_of_an_output(wire):
    with pytest.raises(ValueError, match=r"is no|is neither|too"):
        CallOutput.from_wire(wire)


def test_what_only_a_newer_worker_knows_is_left_out():
    assert from_wire({"t": "paused", "i": 0}) is None
    assert from_wire({"t": "started", "i": 3, "gpu": [1]}) == Started(3)
