"""How the calls of a map are cut into chunks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: Seconds of work that a chunk should hold.
TARGET_S = 0.03
MOST_CALLS = 512
MOST_BYTES = 64 * 1024

#: While nothing is known about the calls, chunks grow: the first ones tell the workers how long a call takes,
#: and a worker that finds a chunk too long gives most of it back.
_GROWTH = (1, 4, 16, 64, 256)


def cut(
    payloads: Iterable[bytes], n: int, seconds: float | None, slots: int, fixed: int | None = None
) -> Iterator[list[bytes]]:
    """Yield the payloads of each chunk, in order; they are read as they are needed.

    Args:
        payloads: one of each call.
        n: number of calls.
        seconds: measured run time of a call, or None.
        slots: calls that run at once, as far as known.
        fixed: calls in a chunk, if the user said so.
    """
    chunk: list[bytes] = []
    sent, number, size = 0, 0, 0
    want = wanted(n, number, seconds, slots, fixed)
    for payload in payloads:
        if chunk and (len(chunk) >= want or size + len(payload) > MOST_BYTES):
            yield chunk
            sent += len(chunk)
            number += 1
            want = wanted(n - sent, number, seconds, slots, fixed)
            chunk, size = [], 0
        chunk.append(payload)
        size += len(payload)
    if chunk:
        yield chunk


def wanted(left: int, number: int, seconds: float | None, slots: int, fixed: int | None) -> int:
    """Return how many of ``left`` calls the next chunk should hold, which is the ``number``-th; the rest as above."""
    if fixed is not None:
        return min(left, fixed)
    if seconds is None:
        want = _GROWTH[min(number // max(1, slots), len(_GROWTH) - 1)]
    else:
        want = int(TARGET_S / max(seconds, 1e-7))
    # The last chunks get smaller, so that all slots end together.
    return max(1, min(want, MOST_CALLS, -(-left // max(1, 2 * slots))))
