"""An entry, as a worker takes it: calls of one batch. Anybody may have written it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbtasks.core.address import Address

#: What an entry says where its calls may have begun.
LOST, SETTLED = "2", "3"
#: Bytes of an entry's id, at most: children write it into memory that they share.
ID_BYTES = 41
#: The most calls of a batch and tries of a call, as shared memory counts them; and bytes of a frame for each call.
_MOST, _LEAST_BYTES = 2**31 - 1, 4
_RANGE = re.compile(r"([0-9]{1,10})\+([0-9]{1,10})")


# One for each call, and to make one that is frozen takes four times as long.
@dataclass
class Entry:
    """One delivered entry: ``count`` calls from ``first`` on, out of a signed chunk.

    Where it lies is its address, its lane and its id together. The id is opaque: it is handed back as it came, compares
    equal with itself and with nothing else of the lane, has :data:`ID_BYTES` bytes at most and no zero byte at its end.
    """

    address: Address
    lane: str
    id: bytes
    batch: str
    first: int
    count: int
    #: How often it was tried and lost, in one number, as core/attempts.py packs it; carried, never computed with.
    attempt: int
    #: Some calls may be final already: look at their states before running.
    suspect: bool
    #: The chunk as it was submitted; ``first`` and ``count`` say which of its calls are meant.
    frame: bytes
    #: The server had lost who held it: its calls may have begun (LOST), and some time has passed since (SETTLED).
    doubt: str = ""
    #: Where the results are filed that its calls follow, first and count; None where nobody says so.
    before: tuple[int, int] | None = None

    @property
    def key_id(self) -> str:
        """Id of the key that the call was signed with; who asked with it is answered with it."""
        return self.address.key_id


def makes_sense(first: int, count: int, attempt: int, frame: bytes) -> bool:
    """Whether an entry can say this of itself: no more calls than its chunk has room for, and a number of tries."""
    return (
        first >= 0
        and 0 < count * _LEAST_BYTES <= len(frame)
        and first + count <= _MOST
        and 0 <= attempt <= _MOST
    )


def range_in(text: str | None) -> tuple[int, int] | None:
    """Return first and count of what is written as ``first+count``; None where that says nothing of the kind."""
    found = _RANGE.fullmatch(text or "")
    if found is None:
        return None
    first, count = int(found[1]), int(found[2])
    return (first, count) if count and first + count <= _MOST else None
