"""What the drawer says of one call, and what else a page may ask a card."""

import json
import time

import pytest

from nbtasks.core.events import Advanced, Retried, Started
from nbtasks.core.progressbar import ProgressBar
from nbtasks.jupyter.card.answers import answer
from nbtasks.jupyter.card.calls import Calls
from nbtasks.jupyter.card.callsaid import call_said
from nbtasks.jupyter.card.card import Card

from .records import fail, make_batch, start, succeed


def parts(said):
    return {part.title: "".join(text for _, text in part.pieces) for part in said.parts}


def facts(said):
    return dict(said.facts)


def test_a_call_that_waits_has_its_arguments_and_how_long_it_waits():
    said = call_said(make_batch(3, created_at=1000.0), 1, "1", 1002.5)
    assert (said.title, said.state, said.word, said.final) == ("1", "PENDING", "waiting", False)
    assert facts(said) == {"queued": "2.50 s"}
    assert parts(said) == {"Arguments": "1"}


def test_a_call_that_runs_says_where_and_for_how_long():
    batch = make_batch(3)
    batch.apply_event("w1", Started(1, 2.0, 1), 4)
    said = call_said(batch, 1, "1", time.time())
    assert (said.word, said.final) == ("running", False)
    assert facts(said)["worker"] == "w1, child 4"
    assert facts(said)["runs for"].startswith("2.")


def test_a_call_that_was_tried_again_says_how_each_earlier_attempt_ended():
    batch = make_batch(3)
    batch.apply_event("w1", Retried(1, 5.0, "OSError: gone", 1, 0.5, 0.25), 0)
    batch.apply_event("w2", Retried(1, 5.0, "OSError: still gone", 2, 0.5, 0.25), 1)
    waiting = call_said(batch, 1, "1", time.time())
    assert waiting.word == "to retry"
    assert facts(waiting)["again"].startswith("in ")
    fail(batch, ValueError("bad"), 1, attempt=3)
    said = call_said(batch, 1, "1", time.time())
    assert parts(said)["Earlier attempts"].splitlines() == [
        "1 on w1, child 0, 0.25 s: OSError: gone",
        "2 on w2, child 1, 0.25 s: OSError: still gone",
    ]
    assert facts(said)["attempt"] == "3"
    assert "ValueError: bad" in parts(said)["Traceback"]
    assert said.can_retry


def test_a_call_of_many_has_its_bars_those_within_others_set_in():
    batch = make_batch(3)
    bars = [ProgressBar(1, 4, "epoch", unit="it"), ProgressBar(15, 30, "batch", depth=1, note="loss 0.5")]
    batch.apply_event("w1", Advanced(1, bars), 0)
    assert parts(call_said(batch, 1, "1", time.time()))["Progress"].splitlines() == [
        "epoch  █████░░░░░░░░░░░░░░░  1 / 4",
        "    batch  ██████████░░░░░░░░░░  15 / 30 · loss 0.5",
    ]
    assert "Progress" not in parts(call_said(batch, 2, "2", time.time()))


def test_a_call_that_has_ended_has_its_output_and_its_result():
    batch = make_batch(2)
    succeed(batch, 1, seconds=0.5, output="one\n\x1b[31mtwo\x1b[0m\n")
    said = call_said(batch, 1, "1", time.time())
    assert parts(said)["Output"] == "one\ntwo\n"
    assert parts(said)["Result"] == "1"
    assert facts(said)["ran"] == "0.50 s"
    assert (said.final, said.can_retry) == (True, False)
    assert said.debug == f"%tasks debug {batch.id[-6:]}:1"


class Unfriendly:
    def __repr__(self):
        raise AssertionError("code of the user's ran")


def test_no_code_of_the_users_runs_and_nothing_is_longer_than_it_may_be():
    batch = make_batch(2)
    batch.parcel.calls[0] = ((Unfriendly(), "x" * 1_000_000), {"items": list(range(100_000))})
    succeed(batch, 0, output="y" * 1_000_000)
    said = call_said(batch, 0, "", time.time())
    assert "<Unfriendly>" in parts(said)["Arguments"]
    assert len(json.dumps(parts(said))) < 200_000


def test_a_page_may_ask_for_anything():
    calls = Calls(make_batch(3))
    for asked in [{}, {"t": "call"}, {"t": "call", "index": 3}, {"t": "call", "index": -1}, {"t": "call", "index": "0"},
                  {"t": "call", "index": True}, {"t": ["call"]}, {"t": "label", "index": None}]:  # fmt: skip
        assert answer(calls, asked) is None
    content, _ = answer(calls, {"t": "call", "index": 2})
    assert json.loads(json.dumps(content))["index"] == 2
    assert answer(calls, {"t": "label", "index": 2}) == ({"k": "label", "index": 2, "text": "2"}, [])


def test_all_that_was_printed_comes_call_by_call():
    batch = make_batch(3)
    succeed(batch, 2, output="late\n")
    succeed(batch, 0, output="early\nmore\n")
    content, [text] = answer(Calls(batch), {"t": "output"})
    assert content["name"].endswith(".txt")
    assert text.decode() == "# 0 0\nearly\nmore\n\n# 2 2\nlate\n"


@pytest.mark.parametrize("held", [True, False])
def test_an_ended_card_still_has_what_is_small(held):
    batch = make_batch(3)
    start(batch, 0)
    succeed(batch, 0, 1, 2, output="text\n")
    card = Card(batch)
    card.let_go()
    if not held:
        batch = None
    said = call_said(card.calls.batch, 1, card.calls.label(1), time.time())
    assert said.title == "1"
    assert parts(said)["Result"] == "1"
    assert parts(said)["Output"] == "text\n"
    assert ("Arguments" in parts(said)) is held


@pytest.mark.parametrize(
    "asked",
    [{}, {"from": "x", "to": None, "columns": -5}, {"from": 10**400, "to": 1, "columns": 10**9},
     {"from": 9.0, "to": -9.0}, {"from": 1e300, "to": 1e301}, {"number": "x", "columns": 1.5}],
)  # fmt: skip
def test_a_page_may_ask_for_any_part_of_the_timeline(asked):
    batch = make_batch(3)
    batch.apply_event("w1", Started(1, 2.0, 1), 4)
    batch.apply_event("w1", Retried(2, 5.0, "OSError: gone", 1, 0.5, 0.25), 0)
    content, _ = answer(Calls(batch), {"t": "timeline", **asked})
    assert 0 <= content["from"] < content["to"] <= content["took"] + 1e-3
    assert json.loads(json.dumps(content))["k"] == "timeline"


def test_a_page_draws_what_is_known_of_each_attempt():
    batch = make_batch(3, created_at=time.time() - 10)
    batch.apply_event("w1", Started(1, 2.0, 1), 4)
    batch.apply_event("w1", Retried(2, 5.0, "OSError: gone", 1, 0.5, 0.25), 0)
    content, _ = answer(Calls(batch), {"t": "timeline", "columns": 700, "number": 3})
    assert content["number"] == 3
    assert content["lanes"] == [["child 0", 1], ["child 4", 1]]
    assert [(span[0], span[5], span[6]) for span in content["spans"]] == [(0, 3, 2), (1, 2, 1)]
    for _, _, waits, begin, end, *_, others in content["spans"]:
        assert 0 <= waits <= begin < end
        assert others == []
