"""The saved card: HTML that a sanitizer leaves alone, and its text twin."""

import re
import time
from html.parser import HTMLParser

import pytest

from nbtasks.jupyter.card import saved
from nbtasks.jupyter.card.board import Board
from nbtasks.jupyter.panel.runslist import runs_panel
from nbtasks.jupyter.panel.table import Panel

from .records import fail, make_batch, start, succeed

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
KEPT_TAGS = {"div", "span", "b", "i", "bdi", "img", "details", "summary", "pre", "table", "tr", "th", "td"}
KEPT_ATTRIBUTES = {"title", "style", "alt", "src"}


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), set(), "", []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def finished(**origin):
    batch = make_batch(40, created_at=time.time() - 2, **origin)
    succeed(batch, *range(37), seconds=0.5, output=f"line {HOSTILE}\n")
    fail(batch, ValueError(HOSTILE), 37, 38, 39, attempt=2)
    return batch


def card(batch, **settings):
    return saved.html(Board(batch).fold(time.time()), batch.states, **settings)


def test_only_what_sanitizers_keep_is_used():
    page = Tags(card(finished(), hint="hint"))
    assert page.tags <= KEPT_TAGS
    assert page.attributes <= KEPT_ATTRIBUTES


def test_no_empty_line_ends_the_card_in_markdown():
    batch = make_batch(2)
    succeed(batch, 0, output="above\n\n  \n    below\n")
    fail(batch, ValueError("first\n\n \n    # not a heading"), 1)
    page = card(batch, preview=saved.Preview(text="a\n\n- b"), hint="hint")
    assert not re.search(r"\n\s*\n", page)
    assert "first\n\n \n    # not a heading" in Tags(page).text
    assert "a\n\n- b" in Tags(page).text


def test_what_takes_its_colour_from_the_theme_has_one_where_var_is_dropped():
    for style in re.findall(r'style="([^"]*)"', card(finished(), hint="hint")):
        for name in re.findall(r"([a-z-]+):[^;]*var\(", style):
            inherited = name == "color" and "error" not in style
            assert inherited or len(re.findall(rf"(?<![a-z-]){name}:", style)) >= 2, style


def test_everything_is_escaped():
    page = Tags(card(finished(label=HOSTILE, queue="q"), hint=HOSTILE))
    assert page.text.count(HOSTILE) >= 4
    assert not page.attributes & {"onerror"}


def test_what_it_says():
    page = Tags(card(finished(label="fetch", queue="io")))
    text = re.sub(r"\s+", " ", page.text)
    for part in (
        "fetch",
        "40 calls · queue io · ed06ef",
        "done, 3 of 40 failed",
        "37 done",
        "3 failed",
        "3 ×ValueError",
        "(attempt 2)",
    ):
        assert part in text
    assert "median 0.50 s" in text


def test_text_twin():
    lines = saved.text(Board(finished(label="fetch")).fold(time.time())).splitlines()
    assert re.fullmatch(
        r"ed06ef fetch: done, 3 of 40 failed, 40 calls, \d\.\d\d s, median .*, 3 failed", lines[0]
    )
    assert lines[1].startswith("  3 x ValueError: <img")


def test_one_call_has_no_counts_and_no_mosaic():
    batch = make_batch(1, "call")
    start(batch, 0)
    page = Tags(card(batch))
    assert "img" not in page.tags
    assert "done" not in page.text


def test_an_empty_map():
    batch = make_batch(0)
    batch.note_change()
    assert "0 calls" in Tags(card(batch)).text


@pytest.mark.parametrize(
    ("preview", "part"),
    [
        (saved.Preview(html="<table><tr><td>own</td></tr></table>"), "<td>own</td>"),
        (saved.Preview(png="aGFsbG8=\n"), "base64,aGFsbG8="),
        (saved.Preview(text="<b>"), "&lt;b&gt;"),
    ],
)
def test_the_result_is_shown(preview, part):
    batch = make_batch(1, "call")
    succeed(batch, 0)
    assert part in card(batch, preview=preview)


def test_long_output_is_folded_away():
    page = card(finished())
    assert page.count("<details") == 2
    assert "show 37 lines" in page


def test_a_panel_is_escaped_and_aligned():
    panel = Panel("title <b>", ("name", "n"), [("a<i>", "1"), ("bbbb", "22")], notes=["note <u>"])
    page = Tags(panel.html())
    assert page.tags <= KEPT_TAGS
    assert page.text.count("<") == 3
    assert panel.text() == "title <b>\nname  n\na<i>  1\nbbbb  22\nnote <u>"
    assert Panel("", ("a",), [], empty="nothing").text() == "nothing"


def test_the_panel_of_tasks_has_the_newest_first():
    batches = [finished(label="old"), make_batch(2, label="new", created_at=time.time() - 3)]
    lines = runs_panel(batches, time.time()).text().splitlines()
    assert lines[1].split()[:5] == ["ed06ef", "new", "waiting", "2", "3.00"]
    assert lines[2].split()[:7] == ["ed06ef", "old", "done,", "3", "of", "40", "failed"]
