"""How the calls of a map are cut into chunks. Pure."""

from __future__ import annotations

from collections.abc import Iterator

#: Seconds of work that a chunk should hold.
TARGET_S = 0.03
MOST_CALLS = 512
MOST_BYTES = 64 * 1024

#: While nothing is known about the calls, chunks grow: the first ones tell the workers how long a call takes,
#: and a worker that finds a chunk too long gives most of it back.
_GROWTH = (1, 4, 16, 64, 256)


def plan(sizes: list[int], seconds: float | None, slots: int, fixed: int | None = None) -> Iterator[int]:
    """Yield the number of calls of each chunk, in order.

    Args:
        sizes: bytes of each call's payload.
        seconds: measured run time of a call, or None.
        slots: calls that run at once, as far as known.
        fixed: calls in a chunk, if the user said so.
    """
    n, at, number = len(sizes), 0, 0
    while at < n:
        if fixed is not None:
            want = fixed
        elif seconds is None:
            want = _GROWTH[min(number // max(1, slots), len(_GROWTH) - 1)]
        else:
            want = int(TARGET_S / max(seconds, 1e-7))
        if fixed is None:
            # The last chunks get smaller, so that all slots end together.
            want = min(want, MOST_CALLS, -(-(n - at) // max(1, 2 * slots)))
        count = _within_bytes(sizes, at, max(1, want), n)
        yield count
        at += count
        number += 1


def _within_bytes(sizes: list[int], at: int, want: int, n: int) -> int:
    count, total = 0, 0
    while at + count < n and count < want:
        total += sizes[at + count]
        if count and total > MOST_BYTES:
            break
        count += 1
    return count
