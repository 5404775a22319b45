"""Results of calls that have succeeded, and whose value is gone: they are failures, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.errors import ValueLost
from nbtasks.wire.errors import failures
from nbtasks.wire.payloads import largest_size
from nbtasks.wire.record import Record
from nbtasks.wire.values import LEAST_REFERENCE, REFERENCE, Shelf

if TYPE_CHECKING:
    from .ledger import Ledger


def lost_among(record: Record, ranges: Sequence[tuple[int, int]], shelf: Shelf) -> list[int]:
    """Return the calls in ``ranges`` whose value should lie in a file that this process sees, and does not."""
    payloads, base = record.payloads, record.first
    # Most are small, so that this is all that is looked at.
    if shelf.files is None or largest_size(payloads) < LEAST_REFERENCE:
        return []
    apart = [
        index
        for first, count in ranges
        for index in range(first, first + count)
        if (payload := payloads[index - base]) and payload[0] == REFERENCE
    ]
    return [
        index
        for index in apart
        if record.states[index - base] == st.SUCCESS_CODE and shelf.lacks(payloads[index - base])
    ]


def without_value(batch: Ledger, index: int, error: ValueLost) -> Record:
    """Return the record of a call that has succeeded and whose value is gone. Here only: the broker's own is final."""
    told = ValueLost(
        f"call {batch.call_id(index)} of {batch.name} has succeeded, and its value is gone: {error}. "
        "Submit it again, or have the task write what must last to a file of your own"
    )
    payload = failures.pack(told, with_traceback=False)
    return Record.alike(batch.id, index, 1, st.FAILURE_CODE, payload)
