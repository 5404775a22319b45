"""Payloads of calls in a row, one behind the other in the body of a frame."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import overload


def lengths_of(payloads: Sequence[bytes | memoryview]) -> bytes:
    """Return what :func:`cut` needs to know, as bytes."""
    return struct.pack(f"<{len(payloads)}I", *map(len, payloads))


class Slices(Sequence[memoryview]):
    """Payloads that lie one behind the other; each is cut out when it is asked for.

    Args:
        body: their bytes.
        lengths: of each, in bytes.

    Attributes:
        longest: the length of the longest one.
        size: of all, in bytes.
    """

    def __init__(self, body: memoryview, lengths: Sequence[int]) -> None:
        self._body = body
        self.longest = max(lengths, default=0)
        self.size = len(body)
        self._ends = array("Q", accumulate(lengths))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> memoryview: ...

    @overload
    def __getitem__(self, index: slice) -> list[memoryview]: ...

    def __getitem__(self, index: int | slice) -> memoryview | list[memoryview]:
        if isinstance(index, slice):
            places = range(*index.indices(len(self)))
            if places.step == 1 and places:
                return self._run(places.start, places.stop)
            return [self[place] for place in places]
        end = self._ends[index]
        place = index if index >= 0 else index + len(self)
        return self._body[self._ends[place - 1] if place else 0 : end]

    def _run(self, start: int, stop: int) -> list[memoryview]:
        body, ends = self._body, self._ends
        begins = [ends[start - 1] if start else 0, *ends[start : stop - 1]]
        return [body[begin:end] for begin, end in zip(begins, ends[start:stop], strict=True)]


def whole_size(payloads: Sequence[bytes | memoryview]) -> int:
    """Return the bytes of payloads; how many they are makes no difference."""
    if isinstance(payloads, Repeated):
        return len(payloads.payload)
    return payloads.size if isinstance(payloads, Slices) else sum(map(len, payloads))


def largest_size(payloads: Sequence[bytes | memoryview]) -> int:
    """Return the bytes of the largest payload; how many they are makes no difference."""
    if isinstance(payloads, Repeated):
        return len(payloads.payload)
    return payloads.longest if isinstance(payloads, Slices) else max(map(len, payloads), default=0)


def cut(body: memoryview, n: int) -> Sequence[memoryview]:
    """Return ``n`` payloads from their lengths and themselves; what follows is no part of them."""
    if n == 1:
        return [body[4 : 4 + int.from_bytes(body[:4], "little")]]
    return Slices(body[4 * n :], struct.unpack_from(f"<{n}I", body))


class Repeated(Sequence["bytes | memoryview"]):
    """The same payload for many calls, which travels once.

    Args:
        payload: of each of ``n`` calls.
    """

    def __init__(self, payload: bytes | memoryview, n: int) -> None:
        self.payload = payload
        self._n = n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> bytes | memoryview: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes | memoryview]: ...

    def __getitem__(self, index: int | slice) -> bytes | memoryview | list[bytes | memoryview]:
        places = range(self._n)[index]
        return self.payload if isinstance(places, int) else [self.payload] * len(places)
