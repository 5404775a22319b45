"""What supervisor and children tell each other through shared memory: one slot a child, no locks, no messages.

Each field has one writer. A child writes what it runs; the supervisor writes what shall be stopped.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass

#: In place of a soft limit: the call has ended, and how is packed.
PACKING = -1.0
#: In place of a soft limit: no call has begun yet, their task is only made ready.
OPENING = -2.0

#: Exit code of a child whose call has lost its locks.
LOCKS_LOST = 71
#: BUSY: the main thread runs calls; CONCURRENT: threads or the event loop do.
STARTING, IDLE, BUSY, CONCURRENT = 0, 1, 2, 3
#: What keeps a child from going on: nothing; a broker without room; that it alone does not reach the broker.
FINE, NO_ROOM, ALONE = 0, 1, 2

_SIZE = 256
# Written by the child: pid, state, calls in hand, calls done.
_CHILD = struct.Struct("<IHHQ")
# Written by the child around a call in its main thread: index, started (monotonic), limit (s), soft limit (s), batch,
# calls, serial. The serial is written last, and is 0 between two calls: who finds the same one before and after has not
# read half of one call and half of the next.
_CALL = struct.Struct("<Qddd20sIQ")
_CALL_AT = 32
_SERIAL = struct.Struct("<Q")
_SERIAL_AT = _CALL_AT + _CALL.size - _SERIAL.size
# Written by the supervisor: serial, index (-1: all calls), batch, whether running calls are stopped, the signal.
_STOP = struct.Struct("<Qq20sBB")
_STOP_AT = 128
# Written by the supervisor with the first order: there is one.
_ORDERED_AT = 199
_WAITING_AT = 200
# Written by the child: 0 while none of its calls holds a lock, else one more than how often the lease had been gone
# before that.
_LOCKED = struct.Struct("<Q")
_LOCKED_AT = 208
# Written by the child: what keeps it from going on.
_TROUBLE_AT = 216
# Written by the supervisor, once for all slots, behind the last one: until when the lease holds (steady clock), how
# often it was found to be gone, and what to add to that clock to get the server's time.
_LEASE = struct.Struct("<dQd")


@dataclass(frozen=True)
class RunningCall:
    """The call that a child's main thread executes.

    Attributes:
        serial: grows with every call, so that two looks at the same call can be told from two calls.
        started: ``time.monotonic()`` at its start, valid in every process of the machine.
        limit_s: its hard time limit, 0 for none.
        count: so many calls, from ``index`` on, while their task is only made ready; then ``soft_s`` is OPENING.
        soft_s: its soft time limit, 0 for none.

    When it has ended, and its result is packed, it is as another call, with a limit for that and PACKING.
    """

    serial: int
    batch: str
    index: int
    started: float
    limit_s: float
    count: int = 1
    soft_s: float = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether it is a call, and not several whose task is made ready."""
        return self.soft_s != OPENING


@dataclass(frozen=True)
class StopOrder:
    """Calls that shall not run any more.

    Attributes:
        serial: grows with every order.
        index: of the call, -1 for every call of the batch.
        running: whether they are stopped where they run already.
        signal: how they are; 0 where that was not said.
    """

    serial: int
    batch: str
    index: int
    running: bool
    signal: int = 0

    def means(self, batch: str, index: int) -> bool:
        """Whether the order is about this call."""
        return batch == self.batch and self.index in {-1, index}


class Slot:
    """One child's part of the shared memory."""

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        self.number = number
        self._memory = memory
        self._at = number * _SIZE
        #: Of the call that was started last.
        self.serial = 0
        self._pid = 0
        self._state = STARTING
        self._in_hand = 0
        self.done = 0

    # -- the child's side

    def clear(self) -> None:
        """Empty the slot for a new child."""
        self._memory[self._at : self._at + _SIZE] = bytes(_SIZE)

    def enter(self, pid: int) -> None:
        """Take the slot as a new child."""
        self._pid, self.serial, self.done = pid, 0, 0
        self._write()

    def set_state(self, state: int, in_hand: int) -> None:
        """Say what the child does and how many calls it runs."""
        if state != self._state or in_hand != self._in_hand:
            self._state, self._in_hand = state, in_hand
            self._write()

    def begin(self, batch: bytes, index: int, limit_s: float, count: int = 1, soft_s: float = 0.0) -> None:
        """Say which call the main thread starts now."""
        self.serial += 1
        where = self._at + _CALL_AT
        _CALL.pack_into(
            self._memory, where, index, time.monotonic(), limit_s, soft_s, batch, count, self.serial
        )

    def begin_opening(self, batch: bytes, index: int, count: int) -> None:
        """Say for which calls a task is made ready now."""
        self.begin(batch, index, 0.0, count, OPENING)

    def end(self) -> None:
        """Say that the main thread's call is over."""
        self.done += 1
        self.end_opening()

    def end_opening(self) -> None:
        """Say that a task has been made ready."""
        # Without a serial there is no call.
        _SERIAL.pack_into(self._memory, self._at + _SERIAL_AT, 0)

    def publish(self) -> None:
        """Write the number of calls done."""
        self._write()

    def set_waiting(self, waiting: bool) -> None:
        """Say that the call in hand waits for another call."""
        self._memory[self._at + _WAITING_AT] = int(waiting)

    def set_locked(self, lapses: int | None) -> None:
        """Say that a call holds a lock, which it took when the lease had been gone so often; None: none holds one."""
        _LOCKED.pack_into(self._memory, self._at + _LOCKED_AT, 0 if lapses is None else lapses + 1)

    def set_trouble(self, trouble: int) -> None:
        """Say what keeps the child from going on."""
        self._memory[self._at + _TROUBLE_AT] = trouble

    def _write(self) -> None:
        _CHILD.pack_into(self._memory, self._at, self._pid, self._state, self._in_hand, self.done)

    @property
    def has_orders(self) -> bool:
        """Whether there was ever an order to stop calls."""
        return self._memory[self._at + _ORDERED_AT] != 0

    def to_stop(self) -> StopOrder:
        """Return the last order to stop calls; its serial is 0 for none."""
        serial, index, batch, running, number = _STOP.unpack_from(self._memory, self._at + _STOP_AT)
        return StopOrder(serial, batch.rstrip(b"\0").decode(), index, bool(running), number)

    def lease(self) -> tuple[float, int]:
        """Return until when the worker's lease holds for sure (steady clock), and how often it was gone."""
        until, lapses, _ = _LEASE.unpack_from(self._memory, len(self._memory) - _LEASE.size)
        return until, lapses

    def clock_offset(self) -> float:
        """Return what to add to the steady clock to get the server's time; 0 before the first lease."""
        offset: float = _LEASE.unpack_from(self._memory, len(self._memory) - _LEASE.size)[2]
        return offset

    # -- the supervisor's side

    def stop(self, order: StopOrder) -> None:
        """Give an order to stop calls, as far as they are here."""
        where = self._at + _STOP_AT
        _STOP.pack_into(
            self._memory, where, order.serial, order.index, order.batch.encode(), order.running, order.signal
        )
        self._memory[self._at + _ORDERED_AT] = 1

    def set_lease(self, until: float, lapsed: bool, clock_offset: float) -> None:
        """Say, to all slots, until when the lease holds (steady clock), and whether it had been gone.

        Args:
            clock_offset: what to add to that clock to get the server's time.
        """
        lapses = self.lease()[1] + lapsed
        _LEASE.pack_into(self._memory, len(self._memory) - _LEASE.size, until, lapses, clock_offset)

    def status(self) -> tuple[int, int, int, int]:
        """Return (pid, state, calls in hand, calls done)."""
        return _CHILD.unpack_from(self._memory, self._at)

    def running(self) -> RunningCall | None:
        """Return the call that the main thread executes; None, too, where it begins another one just now."""
        (before,) = _SERIAL.unpack_from(self._memory, self._at + _SERIAL_AT)
        index, started, limit, soft, batch, count, serial = _CALL.unpack_from(
            self._memory, self._at + _CALL_AT
        )
        if not serial or serial != before:
            return None
        return RunningCall(serial, batch.rstrip(b"\0").decode(), index, started, limit, count, soft)

    @property
    def locked(self) -> int | None:
        """How often the lease had been gone when a call of the child took a lock; None where none holds one."""
        (found,) = _LOCKED.unpack_from(self._memory, self._at + _LOCKED_AT)
        return found - 1 if found else None

    @property
    def trouble(self) -> int:
        """What keeps the child from going on."""
        return self._memory[self._at + _TROUBLE_AT]

    @property
    def waiting(self) -> bool:
        """Whether the call in hand waits for another call."""
        return bool(self._memory[self._at + _WAITING_AT])


def make_slots(n: int) -> list[Slot]:
    """Return ``n`` slots in memory that children inherit."""
    memory = mmap.mmap(-1, n * _SIZE + _LEASE.size)
    return [Slot(memory, number) for number in range(n)]
