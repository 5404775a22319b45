"""Ids. A batch id is 20 hex digits: 6 bytes of milliseconds, so that ids sort by time, and 4 random bytes.

A call's id is ``<batch>`` where the batch is one call, else ``<batch>:<index>``.
"""

from __future__ import annotations

import os
import re
import time

from .errors import UnknownCall

_CALL_ID = re.compile(r"([0-9a-f]{20})(?::(\d{1,9}))?")


def new_id() -> str:
    """Return a new id, 20 hex digits, later ones sorting after earlier ones (to the millisecond)."""
    return (int(time.time() * 1000).to_bytes(6, "big") + os.urandom(4)).hex()


def call_id(batch: str, index: int, n: int | None) -> str:
    """Return the id of call ``index`` of a batch of ``n`` calls (None: a map)."""
    return batch if n == 1 else f"{batch}:{index}"


def split_call_id(text: str) -> tuple[str, int | None]:
    """Return (batch id, index or None).

    Raises:
        TypeError: it is no text.
        UnknownCall: the text is not an id of nbtasks.
    """
    if not isinstance(text, str):
        raise TypeError(
            f"an id of a call is a text like 019e9a3b6c1f00a1b2c3, not {type(text).__name__}; "
            "result.id is that of a handle"
        )
    match = _CALL_ID.fullmatch(text)
    if match is None:
        raise UnknownCall(
            f"{text!r} is not a call id; ids look like 019e9a3b6c1f00a1b2c3 or 019e9a3b6c1f00a1b2c3:7"
        )
    index = match.group(2)
    return match.group(1), None if index is None else int(index)
