"""Runs of whole numbers in a row."""

from __future__ import annotations

import re
from bisect import bisect_right
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
    """Return what a text such as ``0+5 7+1`` says, joined; what makes no sense in it is left out."""
    return joined((int(first), int(count)) for first, count in _RANGE.findall(text))


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same numbers in ascending ranges, each number in one."""
    found: list[tuple[int, int]] = []
    for first, count in sorted(ranges):
        if found and first <= sum(found[-1]):
            start, length = found[-1]
            found[-1] = start, max(length, first + count - start)
        elif count > 0:
            found.append((first, count))
    return found


def ranges_within(ranges: Ranges, first: int, count: int) -> Ranges:
    """Return those parts of ranges that lie within ``count`` calls from ``first`` on, counted from there.

    Args:
        ranges: as :func:`joined` returns them.
    """
    found, end = [], first + count
    for place in range(max(0, bisect_right(ranges, (first, 0)) - 1), len(ranges)):
        start, length = ranges[place]
        if start >= end:
            break
        begin, stop = max(start, first), min(start + length, end)
        if begin < stop:
            found.append((begin - first, stop - begin))
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
