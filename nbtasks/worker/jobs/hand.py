"""What a child has in hand and has not started, in shared memory: so that its supervisor can give it to others.

While a call keeps the GIL its process is deaf, and no thread of it can give anything away. The supervisor asks first:
it names the call that runs, and waits a moment; if that call still runs then, the child will see the question before
it starts another one, and wait for the answer. So nothing is given away that is being started.

Each field has one writer, as in slots.py.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nbtasks.broker.verbs.entry import ID_BYTES, Entry
from nbtasks.core.address import Address

from .job import Job

#: What the supervisor says about a call: nothing, it is about to give away what is behind it, it has done so.
NOTHING, ASKED, GIVEN = 0, 1, 2

_MOST_ROWS = 128
# Written by the child: rows, and how many of them were begun; the last one of those is the current job.
_CHILD = struct.Struct("<HH")
# Written by the supervisor: serial of the running call that it means, and what it says.
_SUPERVISOR = struct.Struct("<QB")
_SUPERVISOR_AT = 16
# Written by the child: address (number), lane, entry id, first call and number of calls of the entry, next call and
# end of the job, attempt, batch.
_ROW = struct.Struct(f"<H1s{ID_BYTES}sIIIII20s")
_ROWS_AT = 64
_SIZE = _ROWS_AT + _MOST_ROWS * _ROW.size


@dataclass(frozen=True)
class JobInHand:
    """A job in a child's hands: calls from ``next`` to ``end`` of an entry are not started, as far as known."""

    entry: Entry
    next: int
    end: int


class Hand:
    """One child's list."""

    def __init__(self, memory: mmap.mmap, number: int, addresses: Sequence[Address]) -> None:
        self._memory = memory
        self._at = number * _SIZE
        self._addresses = addresses
        self._numbers = {address: place for place, address in enumerate(addresses)}
        self._rows = self._begun = 0

    def know(self, addresses: Sequence[Address]) -> None:
        """Learn of addresses that are new; those before keep their places."""
        self._addresses = addresses
        self._numbers = {address: place for place, address in enumerate(addresses)}

    # -- the child's side

    def show(self, jobs: Iterable[Job], begun: int = 0) -> None:
        """Say which jobs are in hand, the current one first if there is one.

        Args:
            begun: 1 where the first one is current.
        """
        rows = 0
        for job in jobs:
            if rows == _MOST_ROWS:
                # What does not fit is given away by nobody while this process is deaf.
                break
            self._write_row(rows, job)
            rows += 1
        self._rows, self._begun = rows, begun
        self._write_counts()

    def begin(self) -> None:
        """The next job is the current one now."""
        if self._begun < self._rows:
            self._begun += 1
            self._write_counts()

    def cut(self, job: Job) -> None:
        """The current job has become shorter."""
        if self._begun:
            self._write_row(self._begun - 1, job)

    def drop_last(self) -> None:
        """The last job is no longer in hand."""
        if self._rows > self._begun:
            self._rows -= 1
            self._write_counts()

    def clear(self) -> None:
        """Nothing is in hand."""
        if self._rows:
            self._rows = self._begun = 0
            self._write_counts()

    def said_of(self, serial: int) -> int:
        """Return what the supervisor says about a call."""
        named, what = _SUPERVISOR.unpack_from(self._memory, self._at + _SUPERVISOR_AT)
        return int(what) if named == serial else NOTHING

    def _write_counts(self) -> None:
        _CHILD.pack_into(self._memory, self._at, self._rows, self._begun)

    def _write_row(self, row: int, job: Job) -> None:
        entry = job.entry
        _ROW.pack_into(
            self._memory, self._at + _ROWS_AT + row * _ROW.size,
            self._numbers[entry.address], entry.lane.encode(), entry.id,
            entry.first, entry.count, job.next, job.end, entry.attempt, entry.batch.encode(),
        )  # fmt: skip

    # -- the supervisor's side

    def empty(self) -> None:
        """Forget everything, for a new child."""
        self._memory[self._at : self._at + _SIZE] = bytes(_SIZE)

    def say(self, serial: int, what: int) -> None:
        """Say something about the call with this serial."""
        _SUPERVISOR.pack_into(self._memory, self._at + _SUPERVISOR_AT, serial, what)

    def jobs(self) -> tuple[JobInHand | None, list[JobInHand]]:
        """Return the current job and those that are not begun."""
        rows, begun = _CHILD.unpack_from(self._memory, self._at)
        found = [self._read_row(row) for row in range(max(0, begun - 1), rows)]
        return (found[0], found[1:]) if begun and found else (None, found)

    def _read_row(self, row: int) -> JobInHand:
        number, lane, entry_id, first, count, following, end, attempt, batch = _ROW.unpack_from(
            self._memory, self._at + _ROWS_AT + row * _ROW.size
        )
        entry = Entry(
            self._addresses[number], lane.decode(), entry_id.rstrip(b"\0"),
            batch.rstrip(b"\0").decode(), first, count, attempt, suspect=True, frame=b"",
        )  # fmt: skip
        return JobInHand(entry, following, end)


def make_hands(n: int, addresses: Sequence[Address]) -> list[Hand]:
    """Return ``n`` hands in memory that children inherit."""
    memory = mmap.mmap(-1, n * _SIZE)
    return [Hand(memory, number, addresses) for number in range(n)]
