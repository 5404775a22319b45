"""A batch's record is folded into what the card shows."""

import time

import pytest

from nbtasks.core import states
from nbtasks.jupyter.card.board import Board, FinishRate, overall_state
from nbtasks.jupyter.card.said import failures_said

from .records import fail, make_batch, start, succeed, tell


def test_a_new_batch_waits():
    view = Board(make_batch(3, label="fetch pages", queue="io")).fold(1001.0, reason="no worker")
    assert (view.title, view.queue, view.state, view.n, view.done) == (
        "fetch pages",
        "io",
        "PENDING",
        3,
        False,
    )
    assert view.counts["PENDING"] == 3
    assert view.reason == "no worker"
    assert (view.rate, view.remaining_s, view.ended_at) == (None, None, None)


def test_running_calls_and_their_progress():
    batch = make_batch(9)
    start(batch, 3, 1, attempt=2)
    tell(batch, 3, 45, 100, "rows")
    view = Board(batch).fold(time.time())
    assert view.state == "STARTED"
    assert [(row.index, row.label, row.worker, row.attempt) for row in view.running] == [
        (1, "1", "w1", 2),
        (3, "3", "w1", 2),
    ]
    assert [row.progress for row in view.running] == [None, (45, 100, "rows")]


def test_only_the_first_few_running_calls_are_told():
    batch = make_batch(100)
    start(batch, *range(100))
    view = Board(batch).fold(time.time())
    assert len(view.running) == 4
    assert view.counts["STARTED"] == 100


def test_the_end():
    batch = make_batch(2, created_at=time.time() - 5)
    succeed(batch, 0, 1, seconds=4.0)
    view = Board(batch).fold(time.time())
    assert (view.state, view.done, view.run_seconds) == ("SUCCESS", True, 8.0)
    assert 4.9 < view.elapsed_s < 7
    assert view.running == ()


def test_failures_that_look_alike_are_one_group():
    batch = make_batch(9)
    for index in range(4):
        fail(batch, OSError(f"page {index} at 0x{index:x}f of 'u{index}' is gone"), index)
    fail(batch, ValueError("other"), 5)
    fail(batch, KeyError(), 6, attempt=3)
    view = Board(batch).fold(time.time())
    assert [(group.type, group.count) for group in view.failures] == [
        ("OSError", 4),
        ("ValueError", 1),
        ("KeyError", 1),
    ]
    first = view.failures[0]
    assert first.message == "page 0 at 0x0f of 'u0' is gone"
    assert (first.indexes, first.labels) == ((0, 1, 2, 3), ("0", "1", "2", "3"))
    assert "raise error" in first.traceback
    assert view.failures[2].attempts == 3


def test_more_failures_than_are_kept_are_counted():
    batch = make_batch(1500)
    fail(batch, ValueError("bad"), *range(1500))
    view = Board(batch).fold(time.time())
    assert failures_said(view)[0].which == "0, 1, 2, 3 …"
    assert view.failures[0].count + view.more_failures == 1500
    assert view.more_failures == 500


def test_many_kinds_of_failure_are_capped():
    batch = make_batch(100)
    for index in range(100):
        fail(batch, ValueError("x" * (index + 1)), index)
    view = Board(batch).fold(time.time())
    assert len(view.failures) == 20
    assert view.more_failures == 80


def test_the_last_lines_of_output():
    batch = make_batch(200)
    for index in range(100):
        succeed(batch, index, output=f"\x1b[32mline {index}\x1b[0m\n")
    view = Board(batch).fold(time.time())
    assert len(view.output) == 60
    assert view.output[-1] == (99, "stdout", "line 99", ((7, "color:#00a250;"),), "99")


def test_hostile_and_long_names_stay_on_one_line():
    batch = make_batch(1, name="a\nb\x1b[31m" + "c" * 500)
    title = Board(batch).fold(1001.0).title
    assert title.startswith("a b")
    assert len(title) <= 120
    assert "\n" not in title


def test_a_batch_that_could_not_be_sent_has_failed():
    batch = make_batch(3)
    batch.note_problem(RuntimeError("broker gone"))
    batch.note_change()
    view = Board(batch).fold(time.time())
    assert (view.state, view.reason, view.done) == ("FAILURE", "broker gone", True)


@pytest.mark.parametrize(
    ("counts", "done", "state"),
    [
        ({"PENDING": 2}, False, "PENDING"),
        ({"PENDING": 2, "RETRY": 1}, False, "RETRY"),
        ({"PENDING": 2, "STARTED": 1}, False, "STARTED"),
        ({"PENDING": 2, "FAILURE": 1}, False, "STARTED"),
        ({"SUCCESS": 3}, True, "SUCCESS"),
        ({"SUCCESS": 3, "REVOKED": 1}, True, "REVOKED"),
        ({"SUCCESS": 3, "REVOKED": 1, "FAILURE": 1}, True, "FAILURE"),
        ({}, True, "SUCCESS"),
    ],
)
def test_overall_state(counts, done, state):
    assert overall_state(counts, done=done) == state


def test_an_empty_map_is_a_success():
    batch = make_batch(0)
    batch.note_change()
    assert Board(batch).fold(time.time()).state == "SUCCESS"


def test_the_rate_is_told_when_enough_have_ended_and_follows_change():
    speed = FinishRate()
    for second in range(4):
        speed.note(second, second)
    assert speed.rate is None
    for second in range(4, 40):
        speed.note(second, second)
    assert speed.rate == pytest.approx(1.0)
    for second in range(40, 80):
        speed.note(second, 39 + 10 * (second - 39))
    assert speed.rate == pytest.approx(10.0, rel=0.05)


def test_remaining_time():
    batch = make_batch(40)
    board = Board(batch)
    for step in range(20):
        succeed(batch, step)
        view = board.fold(1000.0 + step)
    assert view.rate == pytest.approx(1.0, rel=0.1)
    assert view.remaining_s == pytest.approx(20, rel=0.1)
    assert view.counts[states.SUCCESS] == 20
