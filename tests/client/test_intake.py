"""Whether the broker has forgotten results that were seen here."""

from __future__ import annotations

import pytest

from nbtasks.client.receiving.intake import _are_missing
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
