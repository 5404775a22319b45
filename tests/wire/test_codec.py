"""Functions, chunks, results and events as signed bytes."""

from __future__ import annotations

import dataclasses
import math

import pytest

from nbtasks import SignatureMismatch
from nbtasks.core.callheader import CallHeader
from nbtasks.core.calloutput import CallOutput
from nbtasks.core.events import Started, Wrote
from nbtasks.core.label import BatchLabel
from nbtasks.core.options import TaskOptions
from nbtasks.core.orders import Order, StopCalls
from nbtasks.core.outputs import RichOutput
from nbtasks.core.states import FAILURE_CODE, SUCCESS_CODE
from nbtasks.core.submitter import Submitter
from nbtasks.wire.batchnews import BatchNews
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import CHUNK, CONTROL, EVENT, Sealer
from nbtasks.wire.record import Record
from nbtasks.wire.signing import Keyring, new_key


class Bomb:
    """Goes off when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("something was unpickled that was not verified",)


def test_a_function_comes_back_with_its_options(codec):
    step = 5
    sealed = codec.seal_function(lambda x: x + step, TaskOptions.make({"queue": "io"}))
    function = codec.open_function(sealed.frame, sealed.digest)
    assert function.call(1) == 6
    assert function.options.queue == "io"


def test_a_function_under_another_hash_is_refused(codec):
    frame = codec.seal_function(len, TaskOptions()).frame
    with pytest.raises(SignatureMismatch):
        codec.open_function(frame, "0" * 64)


def test_a_strangers_function_is_refused_before_it_is_unpickled(codec):
    stranger = Codec(Sealer(Keyring([new_key()]), "test"))
    sealed = stranger.seal_function(Bomb(), TaskOptions())
    with pytest.raises(SignatureMismatch):
        codec.open_function(sealed.frame, sealed.digest)


def test_a_chunk_is_cut_into_its_calls(codec):
    sent = Chunk(
        "b1",
        "f",
        10,
        [b"one", b"", b"three"],
        CallHeader("work", overrides={"time_limit": 3}, more={"zz": ["new"]}),
        not_after=99.5,
    )
    chunk = codec.open_chunk(codec.seal_chunk(sent), "b1")
    assert [bytes(payload) for payload in chunk.payloads] == [b"one", b"", b"three"]
    assert (chunk.first, chunk.function, chunk.not_after) == (10, "f", 99.5)
    assert chunk == dataclasses.replace(sent, payloads=chunk.payloads)


def test_a_chunk_of_another_batch_is_refused(codec):
    frame = codec.seal_chunk(Chunk("b1", "f", 0, [b""]))
    with pytest.raises(SignatureMismatch, match="'b1' stands where one of 'b2' belongs"):
        codec.open_chunk(frame, "b2")


def test_a_record_is_cut_into_its_results(codec):
    sent = Record(
        "b1",
        3,
        bytes([SUCCESS_CODE, FAILURE_CODE]),
        [0.5, 2.0],
        [b"v", b"error"],
        "w",
        2,
        {4: CallOutput([["o", "text\n"]], [5, 0, 0], [RichOutput({"text/html": "<b>"})])},
    )
    record = codec.open_record(codec.seal_record(sent), "b1")
    assert record.states == sent.states
    assert list(record.seconds) == [0.5, 2.0]
    assert [bytes(payload) for payload in record.payloads] == [b"v", b"error"]
    assert (record.first, record.worker, record.attempt) == (3, "w", 2)
    assert record.given == sent.given


def test_a_record_says_when_its_calls_began_and_which_child_ran_them(codec):
    sent = Record("b1", 3, bytes([SUCCESS_CODE] * 3), [0.5, 2.0, 1.0], [b"v", b"", b"error"], "w")
    sent.child, sent.told_at, sent.begun = 7, 1_700_000_000.25, [-3.5, -2.0, math.nan]
    record = codec.open_record(codec.seal_record(sent), "b1")
    assert [bytes(payload) for payload in record.payloads] == [b"v", b"", b"error"]
    record.ahead_s = 100.0
    assert record.child == 7
    assert [record.began_at(index) for index in (3, 4, 5)] == [1_700_000_096.75, 1_700_000_098.25, None]


@pytest.mark.parametrize(
    ("told_at", "begun", "child"),
    [(1e300, [0.0], 1), (-5.0, [0.0], 1), (1e9, [], -1), (1e9, [], "x"), (1e9, [], 10**30)],
)
def test_times_that_make_no_sense_are_not_known(codec, told_at, begun, child):
    sent = Record("b1", 0, bytes([SUCCESS_CODE]), [0.5], [b""], "w")
    sent.child, sent.told_at, sent.begun = child, told_at, begun
    record = codec.open_record(codec.seal_record(sent), "b1")
    assert (record.began_at(0), record.child) in [(None, 1), (None, None), (1e9, None)]
    assert [bytes(payload) for payload in record.payloads] == [b""]


@pytest.mark.parametrize(
    "at", [slice(None), slice(0, 2), slice(1, 4), slice(3, 3), slice(-2, None), slice(None, None, 2)]
)
def test_payloads_are_cut_out_one_by_one_or_many_at_once(codec, at):
    payloads = [b"a", b"", b"ccc", b"dd"]
    opened = codec.open_chunk(codec.seal_chunk(Chunk("b" * 20, "f", 0, payloads)), "b" * 20)
    assert [bytes(item) for item in opened.payloads[at]] == payloads[at]
    assert [bytes(item) for item in opened.payloads] == payloads


def test_events_labels_and_orders_come_back(codec):
    events = [Started(0), Wrote(1, [["o", "Grüße\n"]], [6, 0, 0])]
    news = BatchNews("b1", "w", "r1", 7, events)
    assert codec.open_events(codec.seal_events(news), "b1") == news
    label = BatchLabel(
        -1,
        "f1",
        "fetch",
        title="pages",
        eta_at=5.5,
        submitter=Submitter("/a/one.ipynb", "i7", "m", 8, 9),
        items=("n='é'", ""),
    )
    assert codec.open_label(codec.seal_label("b1", label.n, label.at, label.standing), "b1") == label
    order = Order(StopCalls("b1"), "s1", 3, at=5.5)
    assert codec.open_order(codec.seal_order(order)) == order


def test_an_order_cannot_be_passed_off_as_a_result(codec):
    with pytest.raises(SignatureMismatch):
        codec.open_record(codec.seal_order(Order(StopCalls("b1"), "s1", 1, at=0.0)), "b1")


def test_what_another_version_says_and_cannot_be_read_is_refused(codec):
    chunk, news = Chunk("b1", "f", 0, [b""]), BatchNews("b1", "w", "r1", 7, [])
    strange = dataclasses.replace(chunk, header=CallHeader(more={"mu": ["zz"], "zz": "one at a time"}))
    with pytest.raises(SignatureMismatch, match="cannot be read here: they need a newer nbtasks"):
        codec.open_chunk(codec.seal_chunk(strange), "b1")
    mistyped = codec._sealer.seal(CHUNK, {"b": "b1", "ad": "", "f": "f", "i": 0, "n": 0, "nm": 1})
    with pytest.raises(SignatureMismatch, match="a chunk of calls cannot be read here: 1 is no text"):
        codec.open_chunk(mistyped, "b1")
    told = {"b": "b1", "w": "w", "r": "r1", "s": 1}
    assert codec.open_events(codec.seal_events(news), "b1") == news
    for body in (b"{}", b"[1]", b'[{"t":"started"}]', b"["):
        with pytest.raises(SignatureMismatch, match="events cannot be read here"):
            codec.open_events(codec._sealer.seal(EVENT, told, body), "b1")
    with pytest.raises(SignatureMismatch, match="an order cannot be read here"):
        codec.open_order(codec._sealer.seal(CONTROL, {"t": "dance"}))
