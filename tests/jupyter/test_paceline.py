"""The line of the rate: how many calls have ended in each stretch of time."""

import json

from nbtasks.jupyter.card import saved
from nbtasks.jupyter.card.board import Board
from nbtasks.jupyter.card.card import Card
from nbtasks.jupyter.card.paceline import MOST_POINTS, PaceLine

from .records import make_batch, succeed


def run(line, pace, seconds, since=0.0, ended=1):
    """Play ``pace`` calls a second, looked at five times a second; returns the end and how many have ended."""
    for step in range(1, round(seconds * 5) + 1):
        line.note(since + step / 5, ended + round(pace * step / 5))
    return since + seconds, ended + round(pace * seconds)


def test_it_follows_the_rate():
    line = PaceLine()
    line.note(0.0, 0)
    run(line, 100, 10, *run(line, 20, 10))
    heights = line.spark().heights
    assert len(heights) == 39  # the first call ended at 0.2 s
    assert max(heights) == 14
    assert all(2 <= height <= 4 for height in heights[2:18])
    assert all(height >= 13 for height in heights[22:])
    assert line.spark().label.startswith("rate over 19.5 s: 20/s to 100/s")


def test_a_long_run_has_no_more_points_and_all_of_its_time():
    line = PaceLine()
    run(line, 10, 1800, *run(line, 40, 1800))
    spark = line.spark()
    assert MOST_POINTS // 2 <= len(spark.heights) <= MOST_POINTS
    middle = len(spark.heights) // 2
    assert spark.heights[middle - 3] == 14
    assert spark.heights[middle + 3] in (3, 4)
    assert len(json.dumps(spark.heights)) < 4 * MOST_POINTS + 2


def test_short_runs_few_calls_and_what_nobody_has_looked_at_have_none():
    short, few, unseen = PaceLine(), PaceLine(), PaceLine()
    run(short, 100, 4)
    run(few, 1, 15)
    unseen.note(0.0, 1)
    unseen.note(3600.0, 5000)
    assert [line.spark() for line in (short, few, unseen)] == [None, None, None]


def test_it_begins_anew_when_calls_are_submitted_again():
    line = PaceLine()
    _, ended = run(line, 100, 10)
    line.note(500.0, ended - 3)
    assert line.spark() is None


def played(card):
    batch = card.batch
    for step in range(40):
        succeed(batch, 2 * step, 2 * step + 1)
        yield card.tick(1000.0 + step / 4)


def test_the_card_sends_it_when_it_has_changed_and_keeps_it():
    batch = make_batch(80)
    card = Card(batch)
    heads = [tick.content for tick in played(card)]
    told = [head["spark"] for head in heads if head.get("spark")]
    # A point is half a second, which is two of these messages.
    assert 8 <= len(told) <= 12
    assert all(len(json.dumps(spark)) < 400 for spark in told)
    batch.note_end(1010.0)
    view = card.view(1020.0)
    assert view.done
    assert list(view.spark.heights) == list(told[-1]["heights"])
    assert card.full_state()["head"]["spark"]["label"] == view.spark.label
    page = saved.html(view, batch.states)
    assert f'alt="{view.spark.label}"' in page
    assert "data:image/svg+xml;base64," in page


def test_a_single_call_has_none():
    assert Board(make_batch(1, kind="call")).fold(1000.0).spark is None
