"""Runs of whole numbers in a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: Numbers as (first, how many).
Ranges = Sequence[tuple[int, int]]

_RANGE = re.compile(rb"([0-9]{1,10})\+([0-9]{1,10})")


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return (first, count) of each run of ascending numbers: 1, 2, 5 gives (1, 2), (5, 1)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][0] + found[-1][1] == number:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((number, 1))
    return found


def said_ranges(numbers: Sequence[int]) -> str:
    """Return numbers as text: ``3,7-9``."""
    return ",".join(
        str(first) if count == 1 else f"{first}-{first + count - 1}" for first, count in runs(numbers)
    )


def read_ranges(text: str, end: int) -> list[int]:
    """Return the numbers of such a text, which are all below ``end``.

    Raises:
        ValueError: they are not, or it is no such text.
    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        span = range(int(first), int(last or first) + 1)
        if not span or not (found[-1] if found else -1) < span[0] <= span[-1] < end:
            raise ValueError(f"{part!r} is no range of ascending numbers below {end:,}")
        found += span
    return found


def ranges_from(text: bytes) -> Ranges:
    """Return what a text such as ``0+5 7+1`` says; what makes no sense in it is left out."""
    return [(int(first), int(count)) for first, count in _RANGE.findall(text)]


def ranges_within(ranges: Ranges, first: int, count: int) -> Ranges:
    """Return those parts of ranges that lie within ``count`` calls from ``first`` on, counted from there."""
    found = []
    for start, length in sorted(ranges):
        begin, end = max(start, first), min(start + length, first + count)
        if begin < end:
            found.append((begin - first, end - begin))
    return found


def ranges_without(ranges: Ranges, others: Ranges) -> Ranges:
    """Return what is in ranges and not in others."""
    for start, length in others:
        end, left = start + length, []
        for first, count in ranges:
            stop = first + count
            before, behind = min(stop, start) - first, stop - max(first, end)
            left += [(first, before)] if before > 0 else []
            left += [(max(first, end), behind)] if behind > 0 else []
        ranges = left
    return ranges
