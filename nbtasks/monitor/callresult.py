"""What a call has ended with, as JSON: for programs in other languages. Runs no code of the task's."""

from __future__ import annotations

import json
from typing import Any

from nbtasks.client.batches.shown import shown_error, shown_value
from nbtasks.client.result import AsyncResult
from nbtasks.core import states as st
from nbtasks.wire.knownvalues import load_known

from .bounded import short

_MOST_TEXT = 60_000


def call_result(handle: AsyncResult[Any]) -> dict[str, Any]:
    """Return ``result``, or ``error`` and ``traceback``.

    A value that JSON cannot hold, or that is made of other types than Python's own, is ``result_repr``, a text.
    """
    batch, index = handle.batch, handle.index
    if handle.state != st.SUCCESS:
        text = short(shown_error(batch, index), _MOST_TEXT)
        last = text.rstrip().rpartition("\n")[2]
        return {"result": None, "error": last or handle.state, "traceback": text or None}
    found = batch.record(index)
    if found is None or not len(found[1]):
        return {"result": None}
    try:
        value = load_known(found[1])
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        shown = shown_value(batch, index, _MOST_TEXT)
        told = None if shown is None else shown.data.get("text/plain")
        return {"result": None, "result_repr": short(told, _MOST_TEXT)}
    return {"result": value}
