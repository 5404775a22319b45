"""The timeline of a map: what it shows, as data, as a picture, as HTML."""

import re
import time
import zlib

import pytest

from nbtasks.client.timeline.drawing import tick_label, tick_s
from nbtasks.client.timeline.glyphs import columns_of
from nbtasks.client.timeline.spans import spans_of
from nbtasks.jupyter.card.timelinesaid import timeline_said
from tests.jupyter.test_mosaic import pixels

SOON = 60


def nap(seconds):
    time.sleep(seconds)
    if seconds == 0.15:
        raise ValueError("<bad>")


async def side_by_side(seconds):
    import asyncio

    await asyncio.sleep(seconds)


def same(item):
    return item


def seldom_fails(item):
    if item % 500 == 7:
        raise ValueError("seldom")
    return item


@pytest.fixture(scope="module")
def naps(shared_app):
    group = shared_app.task(nap).map([0.1, 0.15, 0.1, 0.2, 0.1, 0.1])
    group.get(timeout=SOON, propagate=False)
    return group


def test_there_is_a_lane_for_each_child_and_a_bar_for_each_call(naps):
    spans = naps.timeline().spans()
    assert [lane.name for lane in spans.lanes] in (["child 0", "child 1"], ["child 0"], ["child 1"])
    assert sorted(span.first for span in spans.spans) == list(range(6))
    assert [span.state for span in spans.spans].count("FAILURE") == 1
    for span in spans.spans:
        assert spans.began_at <= span.waits_from <= span.began_at < span.ended_at <= spans.ended_at
        assert abs(span.ended_at - span.began_at - naps[span.first].runtime) < 0.01


def test_it_is_shown_as_a_picture_and_as_html_and_saved_as_both(naps, tmp_path):
    timeline = naps.timeline()
    assert repr(timeline).startswith("<Timeline of tests.client.test_timeline.nap: 6 calls, ")
    width, _, rows = pixels(timeline._repr_png_())
    assert width == 900
    # Something green and something red is in it.
    assert {4, 5} <= {number for row in rows for number in row}
    # What failed is crossed out: red pixels and gaps take turns within its bar.
    red = next(row for row in rows if row.count(5) > 3)
    crossed = [row[red.index(5) : len(row) - red[::-1].index(5)] for row in rows if 5 in row]
    assert any(set(row) > {5} for row in crossed)
    page = timeline._repr_html_()
    assert "seconds=0.15: failed" in page
    assert "<script" not in page
    assert "<svg" not in page
    timeline.save(tmp_path / "t.png")
    timeline.save(str(tmp_path / "t.html"))
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"
    assert "usemap" in (tmp_path / "t.html").read_text()


def test_hostile_names_and_arguments_are_text(shared_app):
    group = shared_app.task(same).map(["<img src=x>"], label="<b>&\"'")
    group.get(timeout=SOON)
    page = group.timeline()._repr_html_()
    assert "<img src=x>" not in page
    assert len(re.findall("<b", page)) == 1


def test_what_runs_side_by_side_has_rows_of_its_own(shared_app):
    group = shared_app.task(side_by_side).map([0.3] * 8)
    group.get(timeout=SOON)
    spans = group.timeline().spans()
    assert sum(lane.rows for lane in spans.lanes) >= 4
    for lane in range(len(spans.lanes)):
        for row in range(spans.lanes[lane].rows):
            times = [(s.began_at, s.ended_at) for s in spans.spans if (s.lane, s.row) == (lane, row)]
            assert times == sorted(times)


def test_a_hundred_thousand_calls_are_as_many_bars_as_there_are_pixels(shared_app):
    group = shared_app.task(same).map(range(20_000))
    group.get(timeout=SOON)
    spans = group.timeline().spans()
    assert len(spans.spans) < 2_000
    assert sum(span.count for span in spans.spans) == 20_000
    begin = spans.spans[0].began_at
    near = spans_of(group.batch, time.time(), (begin, begin + 0.002), 800)
    assert any(span.count == 1 for span in near.spans)
    assert len(zlib.compress(group.timeline()._repr_png_())) < 50_000


def test_a_few_failures_among_many_calls_are_marks_and_not_whole_bars(shared_app):
    group = shared_app.task(seldom_fails).map(range(20_000))
    group.get(timeout=SOON, propagate=False)
    timeline = group.timeline()
    spans = timeline.spans()
    assert sum(span.counts().get("FAILURE", 0) for span in spans.spans) == 40
    marked = [span for span in spans.spans if span.others]
    assert marked
    # A click opens the call that has failed.
    assert all(span.first % 500 == 7 for span in marked)
    # A page is told how high each mark is.
    told = timeline_said(group.batch, {"columns": 700}, time.time())["spans"]
    marks = [mark for *_, others in told for mark in others]
    assert marks
    assert all(code == 5 and n >= 1 and height >= 2 for code, n, height in marks)
    # Of the picture as much is red as is true, and a gap tells the mark without its colour.
    _, _, rows = pixels(timeline._repr_png_())
    red, green = (sum(row.count(colour) for row in rows) for colour in (5, 4))
    assert 0 < red < green / 5
    page = timeline._repr_html_()
    assert re.search(r"[0-9,]+ calls: [0-9,]+ done, 1 failed: item=[0-9]*[05]07|item=7", page)
    assert ">failed<" in page


def test_what_waits_and_what_runs(shared_app):
    group = shared_app.task(same, queue="nowhere").map([1, 2])
    timeline = group.timeline()
    assert timeline.spans().spans == ()
    assert timeline._repr_png_()
    assert timeline._repr_html_()
    group.revoke()
    assert group.timeline().spans().spans == ()


def test_marks_of_the_axis_are_round():
    assert [tick_s(took, 8) for took in (0.004, 1.0, 7.9, 80, 900)] == [0.0005, 0.2, 1, 10, 200]
    assert [tick_label(*one) for one in ((0.0, 1), (0.4, 0.2), (30, 10), (0.002, 0.0005))] == [
        "0", "0.4 s", "30 s", "0.0020 s"
    ]  # fmt: skip


def test_every_character_has_a_shape():
    assert all(len(columns_of(character)) == 5 for character in "".join(map(chr, range(300))))
    assert columns_of("é") == columns_of("?")
    assert len({columns_of(chr(code)) for code in range(32, 127)}) == 95
