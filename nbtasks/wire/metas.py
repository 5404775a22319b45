"""What a task gives with a state of its own: any value, small enough to be told while the call runs."""

from __future__ import annotations

from typing import Any

from nbtasks.core.brief import brief
from nbtasks.core.context import CurrentCall, OwnState
from nbtasks.core.errors import SoftTimeLimitExceeded
from nbtasks.core.events import Progressed
from nbtasks.core.interruption import Interrupted

from . import pickling

#: Bytes of one; what is larger is told in short.
_MOST_BYTES = 64 * 1024
#: Characters of what is told in short.
_MOST_CHARS = 2_000


def progressed(
    call: CurrentCall, done: float, total: float | None, message: str, own_state: OwnState | None
) -> Progressed:
    """Return what is told of how far a call is. What the task has given is packed now: it may change it later."""
    if own_state is None:
        return Progressed(call.index, done, total, message)
    name, meta = own_state
    return Progressed(call.index, done, total, message, name, packed(meta))


def packed(meta: Any) -> bytes:
    """Return a value pickled; in short where it is large, or cannot travel. Never fails the call that gives it."""
    if meta is None:
        return b""
    try:
        data = b"".join(pickling.dumps(meta))
    except (Interrupted, SoftTimeLimitExceeded):
        raise
    except BaseException:
        data = b""
    return data if 0 < len(data) <= _MOST_BYTES else b"".join(pickling.dumps(brief(meta, _MOST_CHARS)))


def unpacked(data: bytes) -> Any:
    """Return the value; None where nothing was given, or what was given cannot be read here."""
    if not data:
        return None
    try:
        return pickling.loads(data)
    except Exception:
        return None
