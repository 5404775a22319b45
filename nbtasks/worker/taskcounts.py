"""How many calls of each task a child has ended, and how: in memory that its supervisor reads."""

from __future__ import annotations

import json
import mmap
import struct
import time
from collections import Counter
from collections.abc import Mapping

_BYTES = 32 * 1024
# Version and length. The version is odd while the rest is written.
_HEAD = struct.Struct("<QQ")
_TRIES, _RETRY_S = 50, 0.0002
#: What counts go by whose tasks do not fit in.
_OTHERS = "(others)"

#: Task -> what has become of its calls, such as ``succeeded`` -> how many.
Counts = Mapping[str, Mapping[str, int]]


def added(*many: Counts) -> dict[str, Counter[str]]:
    """Return the sum of counts."""
    total: dict[str, Counter[str]] = {}
    for counts in many:
        for task, ends in counts.items():
            total.setdefault(task, Counter()).update(ends)
    return total


class TaskCounts:
    """The memory. Only the child writes, and its supervisor when that has ended."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BYTES)

    def write(self, counts: Counts) -> None:
        """Put something else in the place of what stands there; of too many tasks the busiest are told by name."""
        data = json.dumps(counts).encode()
        if len(data) > _BYTES - _HEAD.size:
            data = json.dumps(_fewer(counts)).encode()
        version = _HEAD.unpack_from(self._memory)[0] | 1
        _HEAD.pack_into(self._memory, 0, version, len(data))
        self._memory[_HEAD.size : _HEAD.size + len(data)] = data
        _HEAD.pack_into(self._memory, 0, version + 1, len(data))

    def read(self) -> Counts:
        """Return what stands there; nothing where a child has died while it wrote."""
        for _ in range(_TRIES):
            version, length = _HEAD.unpack_from(self._memory)
            data = self._memory[_HEAD.size : _HEAD.size + length]
            if version % 2 == 0 and _HEAD.unpack_from(self._memory)[0] == version:
                found: Counts = json.loads(data) if data else {}
                return found
            time.sleep(_RETRY_S)
        return {}

    def clear(self) -> None:
        """Forget the child that has died."""
        _HEAD.pack_into(self._memory, 0, 0, 0)


def _fewer(counts: Counts) -> Counts:
    """Return the counts of those tasks that have the most, and of all others together."""
    busiest = sorted(counts, key=lambda task: -sum(counts[task].values()))
    kept, room = {}, _BYTES - _HEAD.size - 1_000
    for task in busiest:
        room -= len(json.dumps({task: counts[task]})) + 2
        if room < 0:
            break
        kept[task] = counts[task]
    others = added(*({_OTHERS: ends} for task, ends in counts.items() if task not in kept))
    return {**kept, **others}
