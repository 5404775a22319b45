"""The newest results on a card of many calls."""

import datetime as dt
import json
import os
import time
from collections import Counter
from decimal import Decimal
from pathlib import PurePosixPath

import numpy as np
import pytest

from nbtasks.core import states
from nbtasks.core.calloutput import CallOutput
from nbtasks.core.outputs import RichOutput
from nbtasks.jupyter.card import saved
from nbtasks.jupyter.card.board import Board
from nbtasks.jupyter.card.card import Card
from nbtasks.jupyter.card.newest import MOST_RESULTS, NewestResults
from nbtasks.wire import pickling
from nbtasks.wire.record import Record

from .records import ID, fail, make_batch, succeed

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def give(batch, index, value=None, **forms):
    """End a call with a value, or with one that its worker shows in these forms."""
    payload = b"".join(bytes(part) for part in pickling.dumps(value)) if value is not None else b""
    kept = {}
    if forms:
        names = {"png": "image/png", "text": "text/plain", "html": "text/html"}
        kept[index] = CallOutput(preview=RichOutput({names[name]: form for name, form in forms.items()}))
    record = Record(ID, index, bytes([states.SUCCESS_CODE]), [0.1], [payload], "w1", 1, kept)
    batch.apply_record(record, [(index, 1)])


def newest(batch):
    return NewestResults().of(batch, time.time())


def test_the_newest_come_first_with_the_call_that_they_are_of():
    batch = make_batch(30)
    succeed(batch, *range(20))
    fail(batch, ValueError("bad"), 20)
    give(batch, 21, {"loss": 0.25})
    give(batch, 22)  # None
    shown = newest(batch)
    assert [(one.index, one.text) for one in shown[:2]] == [(21, "{'loss': 0.25}"), (19, "19")]
    assert len(shown) == MOST_RESULTS
    assert all("21" in shown[0].what and one.png is None for one in shown)


def test_few_results_stand_in_the_order_of_their_calls():
    batch = make_batch(3)
    succeed(batch, 2, 0, 1)
    assert [one.index for one in newest(batch)] == [0, 1, 2]


def test_a_picture_is_shown_and_of_a_table_the_head():
    batch = make_batch(10)
    give(batch, 0, object(), png="aGVs\nbG8=", text="<Figure>")
    table = "\n".join(f"{row}  {'x' * 90}" for row in range(50))
    give(batch, 1, object(), html="<table>", text=table)
    head, picture = newest(batch)
    assert picture.png == "aGVsbG8="
    lines = head.text.split("\n")
    assert len(lines) == 4
    assert lines[-1] == "…"
    assert max(map(len, lines)) == 60
    assert "<table" not in head.text


def test_pictures_are_few_and_small():
    batch = make_batch(10)
    for index in range(6):
        give(batch, index, object(), png="A" * 60_000, text=f"picture {index}")
    give(batch, 6, object(), png="A" * 70_000, text="a large one")
    shown = newest(batch)
    assert shown[0].text == "a large one"
    assert [one.png is not None for one in shown] == [False, True, True, *[False] * (len(shown) - 3)]


def test_wide_results_leave_room_for_fewer():
    batch = make_batch(10)
    for index in range(10):
        give(batch, index, "x" * 50)
    assert len(newest(batch)) == 3


def test_results_stand_for_a_while_and_outlive_what_the_batch_holds():
    batch = make_batch(30)
    strip = NewestResults()
    succeed(batch, 0)
    assert [one.index for one in strip.of(batch, 1000.0)] == [0]
    succeed(batch, *range(1, 29))
    assert [one.index for one in strip.of(batch, 1001.0)] == [0]
    assert strip.of(batch, 1002.5)[0].index == 28
    succeed(batch, 29)
    # The end is shown at once, and still there when the card holds no results any more.
    assert strip.of(batch, 1002.6)[0].index == 29
    assert strip.of(batch.to_be_shown(), 1010.0)[0].index == 29


def test_hostile_texts_stay_texts():
    batch = make_batch(10)
    give(batch, 0, HOSTILE)
    give(batch, 1, object(), text=f"\x1b[31m{HOSTILE}", png='"onload=alert(1)')
    page = saved.html(Board(batch).fold(time.time()), batch.states)
    assert "<img src=x" not in page
    assert '"onload' not in page
    assert "\x1b" not in page


def test_a_page_is_told_a_result_once():
    batch = make_batch(300)
    card = Card(batch)
    give(batch, 0, object(), png="A" * 5000, text="one")
    first = card.tick(1000.0).content["newest"]
    assert [one["png"] for one in first] == ["A" * 5000]
    give(batch, 1, object(), png="B" * 5000, text="two")
    told = card.tick(1003.0).content["newest"]
    assert told[1] == {"index": 0}
    assert told[0]["png"] == "B" * 5000
    assert "newest" not in card.tick(1006.0, always=True).content
    # A page that comes late has had nothing.
    assert len(json.dumps(card.full_state()["head"]["newest"])) > 10_000


def test_a_cell_that_shows_its_values_itself_or_silences_them_has_none():
    batch = make_batch(10)
    give(batch, 0, "here")
    assert not Card(batch, with_results=False).view().newest
    assert Card(batch).view().newest


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.25), "0.25"),
        (np.float32(1) / np.float32(3), "0.33333334"),
        (np.arange(3), "array([0, 1, 2])"),
        (np.zeros((2, 2)), "<2 x 2 ndarray>"),
        (
            {"loss": np.float64(0.5), "day": dt.date(2030, 1, 2)},
            "{'loss': 0.5, 'day': datetime.date(2030, 1, 2)}",
        ),
        (Decimal("1.5"), "Decimal('1.5')"),
        (PurePosixPath("/a"), "PurePosixPath('/a')"),
        (Counter("aab"), "Counter({'a': 2, 'b': 1})"),
    ],
)
def test_values_of_numpy_and_of_pythons_library_are_shown(value, text):
    batch = make_batch(8)
    give(batch, 3, value)
    assert [one.text for one in newest(batch)] == [text]


class Loud:
    """Its code is not to run where results are only looked at."""

    def __reduce__(self):
        return os.system, ("echo loud > loud.txt",)


def test_a_value_of_another_class_is_not_rebuilt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batch = make_batch(8)
    give(batch, 3, [1, Loud()])
    assert not newest(batch)
    assert not list(tmp_path.iterdir())


def test_long_items_are_told_apart_by_their_ends():
    batch = make_batch(3)
    batch.parcel.calls = [((f"https://example.org/a/long/way/{n}.html",), {}) for n in range(3)]
    succeed(batch, 0, 1, 2)
    names = [one.what for one in newest(batch)]
    assert [name[-7:] for name in names] == ["0.html'", "1.html'", "2.html'"]
    assert max(map(len, names)) <= 24
