"""Where a reader of a stream is. Outside this folder a position means nothing: it is handed back as it came."""

from __future__ import annotations

from .untrusted import is_own_id

#: Before everything.
BEGINNING = b"0-0"


def position_at(moment: float) -> bytes:
    """Return the position before everything that was written since a moment of the server's clock (epoch seconds)."""
    # Ids of a stream begin with that time in ms.
    return b"%d-0" % max(0, int(moment * 1000))


def can_go_on(position: bytes) -> bool:
    """Whether anything can be written after it: not where somebody else has taken the last ids of a stream."""
    return is_own_id(position)
