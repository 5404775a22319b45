"""What travels with calls: what is written is read as the same, what makes no sense refused, what is new passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core.callheader import OVERRIDABLE, CallHeader
from nbtasks.core.inputs import CallsBefore, Input
from nbtasks.core.lock import Lock

some = settings(max_examples=40, deadline=None, derandomize=True)
texts = st.text('a_ü漢\n"\\', max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=3,
)
limits = st.none() | st.floats(0, 1e9) | st.integers(0, 10**9)
headers = st.builds(
    CallHeader,
    name=texts,
    lane=st.sampled_from("hml"),
    single=st.booleans(),
    preview=st.booleans(),
    at_most_once=st.booleans(),
    seed=st.none() | st.integers(0, 2**128 - 1),
    result_limit=st.integers(0, 2**50),
    place=texts,
    files=st.lists(texts, max_size=3).map(tuple),
    modules=st.binary(max_size=20),
    overrides=st.fixed_dictionaries(
        {},
        optional={
            "time_limit": limits,
            "soft_time_limit": limits,
            "max_retries": st.none() | st.integers(0, 99),
        },
    ),
    more=st.dictionaries(texts.map("new {}".format), json_values, max_size=2),
)
KEYS = ["nm", "p", "one", "pv", "mo", "sd", "rl", "pl", "fl", "md", "tl", "sl", "mr"]


def travelled(wire) -> Any:
    return json.loads(json.dumps(wire))


@some
@given(headers)
def test_what_is_written_is_read_as_the_same(header):
    read = CallHeader.from_wire(travelled(header.to_wire()))
    assert read == header
    assert read.to_wire() == header.to_wire()


@some
@given(st.dictionaries(st.sampled_from(KEYS) | texts, json_values, max_size=4))
def test_a_header_is_read_with_the_right_types_or_refused(wire):
    try:
        header = CallHeader.from_wire(wire)
    except ValueError:
        return
    assert CallHeader.from_wire(travelled(header.to_wire())) == header
    for name, kind in (
        ("name", str),
        ("lane", str),
        ("single", bool),
        ("result_limit", int),
        ("modules", bytes),
    ):
        assert type(getattr(header, name)) is kind
    assert header.overrides.keys() <= set(OVERRIDABLE)
    assert not header.more.keys() & set(KEYS)


@pytest.mark.parametrize(
    ("key", "value"),
    [("nm", 1), ("nm", None), ("p", ["m"]), ("one", True), ("one", 2), ("mo", "1"), ("sd", -1), ("sd", 1.0),
     ("sd", True), ("rl", "9"), ("rl", -1), ("fl", "file"), ("fl", [1]), ("fl", {}), ("md", "no base64!"),
     ("md", 1), ("tl", "3"), ("tl", -1), ("tl", float("nan")), ("tl", float("inf")), ("tl", True), ("mr", 1.5)],
)  # fmt: skip
def test_wrong_types_are_refused(key, value):
    with pytest.raises(ValueError, match=" is "):
        CallHeader.from_wire({key: value})


def test_what_is_as_always_is_not_sent():
    assert CallHeader().to_wire() == {}
    assert CallHeader.from_wire({}) == CallHeader()


def test_what_a_newer_sender_says_is_passed_on():
    header = CallHeader.from_wire({"nm": "work", "trace": {"id": [1]}})
    assert header.name == "work"
    assert header.to_wire() == {"nm": "work", "trace": {"id": [1]}}


NEEDED = (
    Input("list", (CallsBefore("ab", 0, 3, False), (CallsBefore("cd", 0, 1, True),))),
    Input("one", (CallsBefore("ef", 2, 1, False),)),
)


def test_what_calls_need_of_others_is_not_overlooked():
    header = CallHeader(inputs=NEEDED)
    assert header.to_wire()["mu"] == ["in"]
    assert CallHeader.from_wire(header.to_wire()).inputs == NEEDED
    again = CallHeader.from_wire(CallHeader.from_wire(header.to_wire()).to_wire())
    assert again.inputs == NEEDED
    more = CallHeader(inputs=NEEDED, more={"mu": ["nm"]})
    assert more.to_wire()["mu"] == ["nm", "in"]


@pytest.mark.parametrize(
    "said",
    [
        {},
        [["one"]],
        [["some", 0, [["ab", 0, 1, 1]]]],
        [["one", 2, [["ab", 0, 1, 1]]]],
        [["one", 0, [["ab", 0, 1]]]],
        [["one", 0, [["ab", -1, 1, 1]]]],
        [["one", 0, ["ab"]]],
        [["one", 0, [[[[]], 7]]]],
    ],
)
def test_what_makes_no_sense_of_what_calls_need_is_refused(said):
    with pytest.raises(ValueError, match=r"\w"):
        CallHeader.from_wire({"in": said, "mu": ["in"]})


def test_locks_of_calls_are_not_overlooked():
    header = CallHeader(locks=(Lock("db"), Lock("an umlaut ü", 10)), inputs=NEEDED)
    assert header.to_wire()["mu"] == ["in", "lk"]
    assert CallHeader.from_wire(header.to_wire()).locks == header.locks


@pytest.mark.parametrize(
    "said", [{}, ["db"], [["db"]], [["db", 0]], [["", 1]], [["db", 1.5]], [["db", 1]] * 30]
)
def test_what_makes_no_sense_of_locks_is_refused(said):
    with pytest.raises(ValueError, match=r"\w"):
        CallHeader.from_wire({"lk": said, "mu": ["lk"]})


def test_what_must_not_be_overlooked_is_known_or_the_calls_are_refused():
    assert CallHeader.from_wire({"nm": "work", "mu": ["nm", "tl"]}).name == "work"
    with pytest.raises(ValueError, match="need a newer nbtasks, one that knows zz"):
        CallHeader.from_wire({"nm": "work", "zz": "till", "mu": ["nm", "zz"]})
    with pytest.raises(ValueError, match="is no list"):
        CallHeader.from_wire({"mu": "lk"})
