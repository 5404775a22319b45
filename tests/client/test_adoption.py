"""Batches that somebody else has submitted, or this notebook before its kernel was restarted."""

from __future__ import annotations

import time

from nbtasks import App
from nbtasks.jupyter.card.board import Board

SOON = 60.0


def test_a_batch_that_had_ended_keeps_its_duration(shared_app, eventually):
    group = shared_app.task(abs).map(range(3))
    group.get(timeout=SOON)
    ended_at = eventually(lambda: group.batch.ended_at, "it is over")
    eventually(lambda: time.time() > ended_at + 1, "some time goes by")
    with App(connection=shared_app.connection) as other:
        (again,) = other.attach(group.id)
        assert again.get(timeout=SOON) == [0, 1, 2]
        assert again.batch.ended_at < ended_at + 0.5
        before, after = (Board(one.batch).fold(time.time()).elapsed_s for one in (group, again))
        assert abs(before - after) < 0.5
