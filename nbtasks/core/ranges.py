"""Runs of whole numbers in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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
