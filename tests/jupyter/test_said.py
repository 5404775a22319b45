"""The page and the saved form say the same, in the same colours, for both have it from one place."""

import dataclasses
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

import nbtasks.jupyter
from nbtasks.client.definition import Definition
from nbtasks.jupyter.card import saved
from nbtasks.jupyter.card.board import Board
from nbtasks.jupyter.card.card import Card, tables
from nbtasks.jupyter.card.ending import Ending, end_said
from nbtasks.jupyter.card.looks import LOOKS, style_sheet
from nbtasks.jupyter.card.said import failures_said, said

from .records import fail, make_batch, revoke, start, succeed

PAGE = Path(nbtasks.jupyter.__file__).parent / "page"


class Text(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.text = ""
        self.feed(html)

    def handle_data(self, data):
        self.text += data


def running():
    batch = make_batch(1200, queue="io", label="fetch <pages>")
    succeed(batch, *range(1100), seconds=0.5)
    fail(batch, ValueError("bad & worse"), 1100, 1101, attempt=2)
    start(batch, 1102, 1103)
    return batch


def ended():
    batch = make_batch(40, created_at=time.time() - 4.6)
    succeed(batch, *range(37), seconds=0.5)
    fail(batch, ValueError("bad"), 37, 38, 39)
    return batch


def ended_call():
    batch = make_batch(1, "call", created_at=time.time() - 4.6)
    succeed(batch, 0)
    return batch


@pytest.mark.parametrize("made", [running, ended, ended_call])
def test_the_saved_form_says_what_the_page_says(made):
    batch = made()
    view = Board(batch).fold(time.time(), reason="no worker <yet>" if made is running else None)
    told = said(view)
    shown = Text(saved.html(view, batch.states)).text
    texts = [
        told.title,
        told.about,
        told.shown_state,
        told.took,
        told.pace,
        told.reason or "",
        told.more_failures,
    ]
    texts += [f"{count.number} {count.word}" for count in told.counts]
    parts = (part for failure in failures_said(view) for part in dataclasses.astuple(failure))
    texts += [part for part in parts if isinstance(part, str)]
    assert [text for text in texts if text not in shown] == []


def test_the_end_is_told_as_the_clock_has_told_it():
    view = Board(ended_call()).fold(time.time())
    assert re.fullmatch(r"[4-9]\.\d\d s", said(view).took)
    below, digits, units = tables()["spans"][0]
    assert (below > 9, digits, units) == (True, 2, (("s", 1),))


def test_what_the_page_is_told_is_json():
    state = Card(running()).full_state()
    assert json.loads(json.dumps([state["head"], tables()]))[0]["view"]["counts"][0]["number"] == "1,100"


def test_every_colour_of_the_style_sheet_is_defined_once():
    sheet, colours = "\n".join(path.read_text() for path in PAGE.glob("*.css")), style_sheet()
    used = set(re.findall(r"var\((--nbt-[a-z-]+)", sheet))
    own = set(re.findall(r"^\s*(--nbt-[a-z-]+):", sheet, re.MULTILINE))
    given = set(re.findall(r"(--nbt-[a-z-]+):", colours))
    assert used <= own | given
    assert not own & given
    assert given >= {look.variable for look in LOOKS}


def test_a_bar_tells_how_far_a_call_is_or_slides():
    batch = make_batch(1, "call")
    assert not said(Board(batch).fold(time.time())).bar.slides
    start(batch, 0)
    assert said(Board(batch).fold(time.time())).bar.slides
    view = Board(batch).fold(time.time())
    row = dataclasses.replace(view.running[0], progress=(30.0, 120.0, "files"))
    told = said(dataclasses.replace(view, running=(row,)))
    assert told.bar.parts == (("STARTED", 0.25),)
    assert told.rows[0].far == "30 / 120 · files"


def test_a_progress_that_is_no_number_has_no_share():
    batch = make_batch(2)
    start(batch, 0)
    view = Board(batch).fold(time.time())
    row = dataclasses.replace(view.running[0], progress=(float("nan"), 3.0, ""))
    assert said(dataclasses.replace(view, running=(row,))).rows[0].share is None


def test_nothing_of_the_tables_stands_in_the_script():
    script = "".join(path.read_text() for path in PAGE.glob("*.js"))
    words = {look.word for look in LOOKS} | {look.css for look in LOOKS} | {"FAILURE", "s left", "min"}
    assert not [word for word in words if re.search(rf"[\"'`]\s?{re.escape(word)}", script)]


def test_the_traceback_of_a_single_call_is_open():
    single, many = make_batch(1, kind="call"), make_batch(2)
    for batch in (single, many):
        fail(batch, ValueError("x"), 0)
    views = [Board(batch).fold(time.time()) for batch in (single, many)]
    assert [failure.open for view in views for failure in failures_said(view)] == [True, False]
    forms = [saved.html(view, batch.states) for view, batch in zip(views, (single, many), strict=True)]
    assert ["<details open" in form for form in forms] == [True, False]


@pytest.mark.parametrize(
    ("n", "failed", "revoked", "words", "dot"),
    [
        (120, 0, 0, "done", "SUCCESS"),
        (120, 3, 0, "done, 3 of 120 failed", "SUCCESS"),
        (120, 60, 0, "done, 60 of 120 failed", "FAILURE"),
        (3, 3, 0, "failed", "FAILURE"),
        (20, 0, 20, "cancelled", "REVOKED"),
        (20, 2, 10, "cancelled, 8 of 20 done, 2 failed", "REVOKED"),
        (20, 2, 18, "cancelled, 2 of 20 failed", "REVOKED"),
    ],
)
def test_the_end_is_said_in_words_and_a_few_failures_do_not_make_it_red(n, failed, revoked, words, dot):
    batch = make_batch(n)
    fail(batch, ValueError("bad"), *range(failed))
    revoke(batch, *range(failed, failed + revoked))
    succeed(batch, *range(failed + revoked, n))
    told = said(Board(batch).fold(time.time()))
    assert (told.shown_state, told.dot) == (words, dot)


def test_before_the_end_it_is_said_in_words_too():
    batch = make_batch(3)
    board = Board(batch)
    assert said(board.fold(time.time())).shown_state == "waiting"
    start(batch, 0)
    assert said(board.fold(time.time())).shown_state == "running"
    assert said(board.fold(time.time(), stopping=True)).shown_state == "stopping"
    batch.note_problem(RuntimeError("broker gone"))
    batch.note_change()
    told = said(board.fold(time.time()))
    assert (told.shown_state, told.dot) == ("failed", "FAILURE")


def test_what_runs_is_no_progress_of_a_map():
    batch = make_batch(4)
    start(batch, 0)
    bar = said(Board(batch).fold(time.time())).bar
    assert "STARTED" in bar.busy
    assert "repeating-linear-gradient" in saved.html(Board(batch).fold(time.time()), batch.states)


def test_calls_are_named_by_their_items():
    def fetch(n):
        pass

    batch = make_batch(3)
    start(batch, 1)
    assert said(Board(batch).fold(time.time())).rows[0].what == "1"
    batch.parcel.task = Definition(fetch, batch.parcel.task.options)
    assert said(Board(batch).fold(time.time())).rows[0].what == "n=1"


def test_a_cancelled_run_shows_no_rate():
    batch = make_batch(20)
    succeed(batch, *range(10))
    revoke(batch, *range(10, 20))
    assert "/s" not in said(Board(batch).fold(time.time())).pace
    assert "10 cancelled" in said(Board(batch).fold(time.time())).pace


def test_the_end_is_one_line_that_says_how_it_went():
    batch = make_batch(40, created_at=time.time() - 4.6)
    succeed(batch, *range(17), *range(18, 38), seconds=0.5)
    succeed(batch, 17, seconds=2.25)
    fail(batch, ValueError("bad"), 38, 39)
    board = Board(batch)
    line = said(board.fold(time.time())).pace
    assert re.fullmatch(r"40 calls, [4-9]\.\d\d s, median 0\.50 s, slowest 17 2\.25 s, 2 failed", line)
    # Also when the card holds no results any more.
    board.show(batch.to_be_shown())
    assert said(board.fold(time.time())).pace == line


def test_work_side_by_side_is_told_with_the_processes_that_did_it():
    ending = Ending(2, 0.27, "n=88", 0.5)
    counts = {"SUCCESS": 118, "FAILURE": 2}
    assert end_said(120, 16.6, 31.5, counts, ending) == (
        "120 calls, 16.6 s, 1.9× on 2 workers, median 0.27 s, slowest n=88 0.50 s, 2 failed"
    )
    assert end_said(0, 0.0, 0.0, {}, None) == "0 calls, 0.00 s"


def test_where_the_arguments_are_not_known_no_retry_is_offered():
    batch = ended()
    assert said(Board(batch).fold(time.time())).retry
    batch.parcel = None
    told = said(Board(batch).fold(time.time()))
    assert not told.retry
    assert "%tasks retry" not in told.hint
    assert "run the cell" in told.hint


@pytest.mark.parametrize(
    ("n", "failed", "revoked", "button", "hint"),
    [
        (3, 3, 0, "Retry failed", "runs the failed calls again."),
        (3, 0, 3, "Retry cancelled", "runs the cancelled calls again."),
        (3, 1, 2, "Retry failed and cancelled", "runs the failed and cancelled calls again."),
        (3, 1, 1, "Retry failed", ""),
        (3, 0, 1, "", ""),
    ],
)
def test_what_was_cancelled_is_offered_again_when_all_have_ended(n, failed, revoked, button, hint):
    batch = make_batch(n)
    fail(batch, ValueError("bad"), *range(failed))
    revoke(batch, *range(failed, failed + revoked))
    told = said(Board(batch).fold(time.time()))
    assert (told.retry, told.hint.partition(" runs ")[1] + told.hint.partition(" runs ")[2]) == (
        button,
        f" {hint}" if hint else "",
    )
