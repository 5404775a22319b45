"""Names under which results are kept for later runs: a digest of all that a call's result follows from.

Those of calls in a row stand one after another, so that a map of many calls has one text of bytes.
"""

from __future__ import annotations

#: Bytes of one name.
NAME_BYTES = 32
#: In the place of the name of a call whose result is not kept.
UNNAMED = bytes(NAME_BYTES)


def name_at(names: bytes, place: int) -> bytes:
    """Return the name of the ``place``-th call; UNNAMED where there are no names."""
    return names[place * NAME_BYTES : (place + 1) * NAME_BYTES] or UNNAMED


def names_of(names: bytes, place: int, count: int) -> bytes:
    """Return those of ``count`` calls from the ``place``-th on."""
    return names[place * NAME_BYTES : (place + count) * NAME_BYTES]
