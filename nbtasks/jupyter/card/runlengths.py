"""The states of all calls as the page is told them: run lengths, for calls side by side mostly do the same. Pure.

The first number is how many calls there are. Each number after it is a run of calls: sixteen times its length, plus
the code that they all have, or :data:`AS_BEFORE`. What no run reaches stays as it was. A number stands in bytes of
seven bits, the lowest first, and all bytes but its last have the eighth bit. page/runlengths.js reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: Instead of a code: these calls are as they were.
AS_BEFORE = 15
#: Each code by itself, for that is many times faster than a group that comes again.
_RUN = re.compile(b"|".join(re.escape(bytes([code])) + b"+" for code in range(AS_BEFORE)))


def pack_all(codes: bytes | bytearray) -> bytes:
    """Return the codes of all calls; at most one byte for each, and some for their number."""
    return pack_changes(codes, [(0, len(codes))])


def pack_changes(codes: bytes | bytearray, ranges: Iterable[tuple[int, int]]) -> bytes:
    """Return the codes of the calls that have changed.

    Args:
        codes: of all calls.
        ranges: first call and number of those that have changed, in any order; they may overlap.
    """
    packed = bytearray()
    _add(packed, len(codes))
    told = 0
    for begin, end in _joined(ranges):
        if begin > told:
            _add(packed, (begin - told) << 4 | AS_BEFORE)
        for run in _RUN.finditer(codes, begin, end):
            _add(packed, (run.end() - run.start()) << 4 | codes[run.start()])
        told = end
    return bytes(packed)


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of ranges in their order; those that touch are one."""
    begin = end = 0
    for first, count in sorted(ranges):
        if first > end:
            if end > begin:
                yield begin, end
            begin = first
        end = max(end, first + count)
    if end > begin:
        yield begin, end


def _add(packed: bytearray, number: int) -> None:
    while number > 127:
        packed.append(number & 127 | 128)
        number >>= 7
    packed.append(number)
