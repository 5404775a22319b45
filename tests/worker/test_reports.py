"""A report that the broker does not take costs its own call, and keeps nobody else's."""

from __future__ import annotations

import dataclasses
import os

import pytest

from nbtasks import App

SOON = 60.0
#: The broker keeps no state for a call of this number: its string would be too long.
TOO_FAR = 600_000_000


def die(_):
    """Task code: end the process."""
    os._exit(3)


@pytest.mark.parametrize("task", [len, pytest.param(die, marks=pytest.mark.long)])
def test_a_result_that_the_broker_does_not_take(app, eventually, task):
    """Of a call that has ended, or of one whose process has died too often."""
    session = app.session
    handle = app.task(task).apply_async(("abc",), queue="aside")
    session.flush()
    address, batch = session.address("default"), handle.batch.id
    link = session.new_line()
    ((_, fields),) = link.call("XRANGE", session.line.keys.lane(session.address("aside"), "m"), "-", "+")
    chunk = session.codec.open_chunk(fields[11], batch, session.address("aside"))
    moved = session.codec.seal_chunk(dataclasses.replace(chunk, first=TOO_FAR, address=address))
    lane = session.line.keys.lane(address, "m")
    link.call("XADD", lane, "*", "b", batch, "i", TOO_FAR, "n", 1, "a", 1, "x", "", "d", moved)
    eventually(lambda: "does not take 1 result(s)" in app.local_workers.log_tail(100), "it is told")
    assert app.task(abs).map(range(-50, 0)).get(timeout=SOON) == list(range(50, 0, -1))
    with App(connection=app.connection) as other:
        other.start_workers(1)
        assert other.task(len).delay("ab").get(timeout=SOON) == 2
    eventually(lambda: link.call("XLEN", lane) == 0, "it does not come again")
