"""The rows of a workflow's graph, and the lines beside them."""

from __future__ import annotations

import pytest

from nbtasks import chain, group, task
from nbtasks.client.batches.wholeworkflow import shown_run
from nbtasks.jupyter.card import saved
from nbtasks.jupyter.card.card import Card
from nbtasks.jupyter.card.graph import graph_of
from nbtasks.jupyter.card.graphlanes import LANE, ROW, lanes_of

SOON = 60.0


@task
def one(value=1):
    return value


@task
def total(values):
    return sum(values)


@task
def bad(*_):
    raise ValueError("<b>bad</b>")


def ended(handle):
    for step in handle.steps:
        assert step.until_ready(SOON)
    return shown_run(handle.batch)


def said(run):
    return [(row.name, row.said.partition(" in ")[0], row.call) for row in graph_of(run)]


def test_a_chord_in_a_chain(shared_app):
    run = ended((one.s(1) | group(one.s() for _ in range(3)) | total.s() | one.s()).delay())
    assert said(run) == [
        ("one", "done", 0),
        ("one", "3 of 3 done", 1),
        ("total", "done", 4),
        ("one", "done", 5),
    ]
    assert [len(row.squares) for row in graph_of(run)] == [0, 3, 0, 0]
    assert run.title == "one → total"
    assert (run.n, len(run.order), run.counts()["SUCCESS"]) == (6, 6, 6)
    assert [run.record(index)[0].first for index in range(6)] == list(range(6))


def test_all_handles_of_a_workflow_have_one_card(shared_app):
    handle = (one.s(1) | one.s() | one.s()).delay()
    assert shown_run(handle.batch) is shown_run(handle.parent.batch) is shown_run(handle.root.batch)
    alone = one.delay(1)
    assert shown_run(alone.batch) is alone.batch


@pytest.mark.parametrize("steps", [100, 3])
def test_a_long_chain_stays_readable(shared_app, steps):
    run = ended(chain(one.s(1), *[one.s() for _ in range(steps - 1)]).delay())
    rows = graph_of(run)
    assert len(rows) == (1 if steps == 100 else 3)
    if steps == 100:
        assert (rows[0].name, rows[0].said) == ("one × 100 steps", "done")


def test_of_very_many_steps_those_have_rows_that_matter(shared_app):
    run = ended((group([*[one.s(n).set(priority=n % 10) for n in range(70)], bad.s()]) | total.s()).delay())
    rows = graph_of(run)
    assert len(rows) == 51
    assert rows[-1].name == "and 22 more steps"
    assert "bad" in [row.name for row in rows]


def test_what_is_not_run_says_so(shared_app):
    run = ended((one.s(1) | bad.s() | one.s()).on_error(one.si(2)).delay())
    assert [(name, text) for name, text, _ in said(run)] == [
        ("one", "done"), ("bad", "failed"), ("one", "not run"), ("one", "done"),
    ]  # fmt: skip
    fine = ended((one.s(1) | one.s()).on_error(one.si(2)).delay())
    assert said(fine)[-1][1] == "not needed"
    alone = one.delay(bad.delay())
    assert alone.until_ready(SOON)
    view = Card(shown_run(alone.batch)).view()
    assert view.reason == "Not run, for bad has failed."
    assert [row.call for row in view.graph] == [-1, 0]


def test_names_are_text(shared_app):
    name = "<img src=x onerror=alert(1)>\u202e\n" + "x" * 500
    card = Card(ended((one.s(1).set(label=name) | one.s()).delay()))
    page = saved.html(card.view(), card.codes())
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert max(len(row.name) for row in card.view().graph) <= 60


def test_a_whole_workflow_is_cancelled_from_its_card(shared_app):
    import time

    @task
    def never(*_):
        while True:
            time.sleep(0.02)

    handle = (never.s() | one.s() | one.s()).delay()
    run = shown_run(handle.batch)
    run.revoke(terminate=True, how="cancelled from the card")
    assert ended(handle).counts()["REVOKED"] == 3


def test_lines_of_a_chain_and_of_a_diamond():
    lanes, width = lanes_of([[1], [2], []])
    assert ([one.lane for one in lanes], width) == ([0, 0, 0], 1)
    middle = LANE // 2
    assert lanes[1].strokes == ((middle, 0, middle, ROW // 2), (middle, ROW // 2, middle, ROW))
    lanes, width = lanes_of([[1, 2], [3], [3], []])
    assert width == 2
    assert len({one.lane for one in lanes[1:3]}) == 2
    wide, width = lanes_of([list(range(1, 41)), *[[41]] * 40, []])
    assert width <= 3
    assert all(0 <= x < width * LANE for one in wide for stroke in one.strokes for x in stroke[::2])


def test_a_card_keeps_its_graph_when_it_lets_the_batch_go(shared_app):
    after = one.delay(one.delay(3))
    assert after.until_ready(SOON)
    card = Card(shown_run(after.batch))
    before = card.view().graph
    card.let_go()
    assert card.view().graph == before != ()
