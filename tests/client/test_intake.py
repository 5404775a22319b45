"""What the broker has of a batch is compared with what was seen here."""

from __future__ import annotations

import pytest

from nbtasks import App
from nbtasks.client.engines.brokered.receiving.intake import _are_missing
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE, STARTED_CODE, SUCCESS_CODE


@pytest.mark.parametrize(
    ("here", "there", "missing"),
    [
        ([SUCCESS_CODE, 0], [SUCCESS_CODE, 0], False),
        ([SUCCESS_CODE, 0], [SUCCESS_CODE, FAILURE_CODE], False),
        ([STARTED_CODE, 0], [0, 0], False),
        ([REVOKED_CODE, 0], [0, 0], True),
        # As many on both sides, and not the same ones.
        ([SUCCESS_CODE, 0], [0, SUCCESS_CODE], True),
        ([], [], False),
    ],
)
def test_results_that_only_this_side_has(here, there, missing):
    assert _are_missing(bytearray(here), bytes(there)) is missing


def test_a_batch_may_grow_while_the_broker_is_asked_about_it(shared_app):
    """Calls of a loop share one: in between another thread may have submitted more of them."""
    group = shared_app.task(abs).map(range(4), chunk=4)
    assert group.get(timeout=60) == [0, 1, 2, 3]
    with App(connection=shared_app.connection) as other:
        (again,) = other.attach(group.id)
        again.batch.states[:] = bytes(4)
        known = other.session.store.states(group.id, 0, 2)
        other.session.intake.refresh(again.batch, known)
        assert [bool(code) for code in again.batch.states] == [True, True, False, False]
