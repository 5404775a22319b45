"""Where a reader of a stream is. Outside this folder a position means nothing: it is handed back as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtasks.broker.brokererrors import NewsUnreadable
from nbtasks.broker.verbs.sessionnews import Position

from .untrusted import is_own_id, number_or

if TYPE_CHECKING:
    from .link import Link

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


def is_ahead(link: Link, stream: str, after: bytes) -> bool:
    """Whether a stream has not come as far as an id that it has had: it was emptied, and the server's clock is behind.

    To be asked where nothing has come for a while.
    """
    (reply,) = link.pipeline([("XINFO", "STREAM", stream)])
    if isinstance(reply, Exception):
        return "no such key" in str(reply)
    return is_ahead_of(reply, after)


def is_ahead_of(facts: Any, after: bytes) -> bool:
    """The same, of what ``XINFO STREAM`` has answered."""
    if not isinstance(facts, list):
        return False
    last = dict(zip(facts[::2], facts[1::2], strict=False)).get(b"last-generated-id", _BEGINNING)
    return is_own_id(last) and _parts(last) < _parts(after)


def _parts(id_: bytes) -> tuple[int, int]:
    moment, _, number = id_.partition(b"-")
    return number_or(moment, 0), number_or(number, 0)
