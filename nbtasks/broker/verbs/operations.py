"""Operations that are applied together: a flat list, each a letter and what belongs to it.

A leg that has a language of its own on the server sends the list as it is; another one cuts it into operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: What may stand in an operation. A float is never one that a server must compute with.
Part = str | bytes | memoryview | int | float


def cut(parts: Sequence[Any], widths: Mapping[str, int]) -> Iterator[Sequence[Any]]:
    """Yield each operation, its letter first.

    Args:
        widths: letter -> how many parts an operation has, the letter among them.
    """
    place = 0
    while place < len(parts):
        end = place + widths[parts[place]]
        yield parts[place:end]
        place = end
