"""Ids. A batch id is 20 hex digits: 6 bytes of milliseconds, so that ids sort by time, and 4 random bytes.

A call's id is ``<batch>`` where the batch is one call, else ``<batch>:<index>``. A single call may have an id that its
caller has given it, any text: its batch's id then follows from that text.
"""

from __future__ import annotations

import hashlib
import os
import re
import time

from .errors import ConfigError, UnknownCall

#: Characters of an id that somebody has given.
MOST_ID = 255

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


def check_own_id(value: object) -> str:
    """Return an id that a caller gives to a call, as text; a UUID is one, too.

    Raises:
        ConfigError: it cannot be one.
    """
    text = value if isinstance(value, str) else str(value) if type(value).__name__ == "UUID" else ""
    if not 0 < len(text) <= MOST_ID or not text.isprintable():
        raise ConfigError(
            f"task_id: {value!r:.60} is not an id; give a text of at most {MOST_ID} characters, "
            "such as str(uuid.uuid4())"
        )
    if _CALL_ID.fullmatch(text) and ":" in text:
        raise ConfigError(f"task_id: {text!r} is the id of a call of a map; give another one")
    return text


def batch_of(own_id: str) -> str:
    """Return the id of the batch whose call has been given an id."""
    if _CALL_ID.fullmatch(own_id):
        return own_id
    return hashlib.blake2b(own_id.encode(), digest_size=10, person=b"nbtasks task_id").hexdigest()


def find_call(text: str) -> tuple[str, int | None]:
    """Return (batch id, index or None) of any id that a call may have.

    Raises:
        TypeError: it is no text.
    """
    if isinstance(text, str) and _CALL_ID.fullmatch(text) is None:
        return batch_of(text), None
    return split_call_id(text)
