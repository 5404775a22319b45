"""Where a reader of a stream is. Outside this folder a position means nothing: it is handed back as it came."""

from __future__ import annotations

from nbtasks.broker.brokererrors import NewsUnreadable
from nbtasks.broker.verbs.sessionnews import Position

from .untrusted import is_own_id

_BEGINNING = b"0-0"


def position_at(moment: float) -> Position:
    """Return the position before everything that was written since a moment of the server's clock (epoch seconds)."""
    # Ids of a stream begin with that time in ms.
    return Position(b"%d-0" % max(0, int(moment * 1000)))


def id_after(position: Position | None) -> bytes:
    """Return the id after which to read.

    Raises:
        NewsUnreadable: nothing can be written after it: somebody else has taken the last ids of the stream.
    """
    if position is None:
        return _BEGINNING
    if not is_own_id(position):
        raise NewsUnreadable("it comes with ids that no others can follow")
    return position
