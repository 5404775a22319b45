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
    waiting = _Peekable(payloads)
    at, number = 0, 0
    while at < n:
        chunk = _within_bytes(waiting, _wanted(n - at, number, seconds, slots, fixed))
        yield chunk
        at += len(chunk)
        number += 1


def _wanted(left: int, number: int, seconds: float | None, slots: int, fixed: int | None) -> int:
    if fixed is not None:
        return min(left, fixed)
    if seconds is None:
        want = _GROWTH[min(number // max(1, slots), len(_GROWTH) - 1)]
    else:
        want = int(TARGET_S / max(seconds, 1e-7))
    # The last chunks get smaller, so that all slots end together.
    return max(1, min(want, MOST_CALLS, -(-left // max(1, 2 * slots))))


def _within_bytes(waiting: _Peekable, want: int) -> list[bytes]:
    chunk = [waiting.take()]
    total = len(chunk[0])
    while len(chunk) < want:
        total += len(waiting.peek())
        if total > MOST_BYTES:
            break
        chunk.append(waiting.take())
    return chunk


class _Peekable:
    """An iterator whose next item can be looked at."""

    def __init__(self, items: Iterable[bytes]) -> None:
        self._items = iter(items)
        self._next: bytes | None = None

    def peek(self) -> bytes:
        if self._next is None:
            self._next = next(self._items)
        return self._next

    def take(self) -> bytes:
        item, self._next = self.peek(), None
        return item
