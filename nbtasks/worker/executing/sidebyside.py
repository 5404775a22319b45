"""Which calls run side by side in a child, in its threads or in its event loop; in memory shared with the supervisor.

So the supervisor can end one that does not end by itself, and knows what else ran in that process. Each row has one
writer at a time, as in slots.py.
"""

from __future__ import annotations

import itertools
import mmap
import struct
import time
from collections.abc import Iterable

from nbtasks.worker.slots import RunningCall, Slot

# Written by the child: serial, index, started (monotonic), hard limit (s), soft limit (s), batch. Serial 0: free.
_ROW = struct.Struct("<QQddd20s")
_SIZE = 64
_FREE = bytes(_ROW.size)
#: Calls that a worker names, at most: clients and other workers read them all.
_MOST_SHOWN = 500


class SideBySide:
    """One child's list."""

    def __init__(self, memory: mmap.mmap, number: int, rows: int) -> None:
        self._memory = memory
        self._at = number * rows * _SIZE
        self._rows = rows
        self._free = list(range(rows))
        self._serial = itertools.count(1)

    # -- the child's side; any thread

    def enter(self, batch: bytes, index: int, limit_s: float, soft_s: float) -> int | None:
        """Say that a call begins; returns its row, None where there is none left."""
        try:
            row = self._free.pop()
        except IndexError:
            return None
        serial, now = next(self._serial), time.monotonic()
        _ROW.pack_into(self._memory, self._where(row), serial, index, now, limit_s, soft_s, batch)
        return row

    def leave(self, row: int | None) -> None:
        """Say that the call of a row has ended."""
        if row is not None:
            at = self._where(row)
            self._memory[at : at + _ROW.size] = _FREE
            self._free.append(row)

    # -- the supervisor's side

    def clear(self) -> None:
        """Empty the list for a new child."""
        self._memory[self._at : self._at + self._rows * _SIZE] = bytes(self._rows * _SIZE)

    def running(self) -> list[RunningCall]:
        """Return the calls that run."""
        found = []
        for row in range(self._rows):
            serial, index, started, limit, soft, batch = _ROW.unpack_from(self._memory, self._where(row))
            if serial:
                name = batch.rstrip(b"\0").decode()
                # Serials of the main thread's calls are others.
                found.append(RunningCall(-serial, name, index, started, limit, soft_s=soft))
        return found

    def _where(self, row: int) -> int:
        return self._at + row * _SIZE


def shown_running(slots: Iterable[Slot], rosters: Iterable[SideBySide]) -> list[RunningCall]:
    """Return what a worker runs, as far as it names it. Where the server has lost who took it, nobody else can tell."""
    alone = (call for slot in slots if (call := slot.running()))
    side_by_side = (call for roster in rosters for call in roster.running())
    return list(itertools.islice(itertools.chain(alone, side_by_side), _MOST_SHOWN))


def make_rosters(n: int, rows: int) -> list[SideBySide]:
    """Return ``n`` rosters of so many calls in memory that children inherit."""
    memory = mmap.mmap(-1, n * rows * _SIZE)
    return [SideBySide(memory, number, rows) for number in range(n)]
