"""What a card says of bars such as tqdm's."""

from __future__ import annotations

import pytest

from nbtasks.core.events import Advanced
from nbtasks.core.progressbar import ProgressBar
from nbtasks.jupyter.card import saved
from nbtasks.jupyter.card.barsaid import bar_said
from nbtasks.jupyter.card.board import Board
from nbtasks.jupyter.card.said import said

from .records import make_batch, start


@pytest.mark.parametrize(
    ("bar", "share", "far"),
    [
        (ProgressBar(22, 40, "epoch", rate=2.0, unit="it"), 0.55, "22 / 40 · 2/s · 9 s left"),
        (ProgressBar(1200, None, unit="B", rate=0.5), None, "1,200 B · 30/min"),
        (
            ProgressBar(4, 4, seconds=2.5, rate=2.0, closed=True, note="loss=1"),
            1.0,
            "4 / 4 · 2.50 s · loss=1",
        ),
        (ProgressBar(9, 4), 1.0, "9 / 4"),
    ],
)
def test_how_far_a_bar_is(bar, share, far):
    assert (bar_said(bar).share, bar_said(bar).far) == (share, far)


def test_bars_of_a_single_call_are_on_its_card():
    batch = make_batch(1, kind="call")
    start(batch, 0)
    batch.apply_event("w1", Advanced(0, [ProgressBar(1, 4, "<outer>"), ProgressBar(2, 8, "inner", depth=1)]))
    view = Board(batch).fold(1001.0)
    assert [(bar.description, bar.share, bar.depth) for bar in said(view).bars] == [
        ("<outer>", 0.25, 0),
        ("inner", 0.25, 1),
    ]
    page = saved.html(view, batch.states)
    assert "&lt;outer&gt;" in page
    assert "width:25%" in page
