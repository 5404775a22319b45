"""Which lock a call waits for, and who holds it. Nothing of this is signed; it is only shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.locks import call_name, name_of_lock
from nbtasks.client.submitting.locking import locks_at
from nbtasks.core import states as st
from nbtasks.core.lock import Lock
from nbtasks.core.plaintext import on_one_line

if TYPE_CHECKING:
    from nbtasks.broker.verbs.locks import Locks
    from nbtasks.broker.verbs.permits import Limited
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.core.occupancy import Holder, Occupancy

    from .roster import WorkerRoster

_MOST_NAMED = 3
_MOST_CHARACTERS = 200


class LockReasons:
    """Says what calls of a session wait for."""

    def __init__(self, locks: Locks, roster: WorkerRoster) -> None:
        self._locks = locks
        self._roster = roster

    def of(self, batch: Ledger, index: int | None) -> str | None:
        """Return which lock a call waits for that was submitted here; None where it waits for none.

        Args:
            index: of the call; None for the first that waits for anything.
        """
        if batch.parcel is None or not batch.parcel.options.task.is_locked:
            return None
        place = self._first_waiting(batch) if index is None else index
        if place is None:
            return None
        address, name = self._roster.address(batch.queue), call_name(batch.id, place)
        for lock in locks_at(batch.parcel, place):
            held = self._locks.occupancy(lock.id, lock.capacity, address, name)
            if held.before is not None:
                return self.said_of(lock, held)
        return None

    def of_found(self, found: Limited) -> str:
        """Return the same of a call that somebody else has submitted, and that lies in the queue with this."""
        lock = Lock(name_of_lock(found.lock))
        return self.said_of(lock, self._locks.occupancy(found.lock, lock.capacity))

    def _first_waiting(self, batch: Ledger) -> int | None:
        states, running = batch.own_states, batch.running
        every = (index for index in range(len(states)) if states[index] < st.FIRST_READY_CODE)
        return next((index for index in every if index not in running), None)

    def said_of(self, lock: Lock, held: Occupancy) -> str:
        """Return what somebody waits for, in words."""
        shown = [self._holder(one) for one in held.holders[:_MOST_NAMED]]
        more = held.count - len(shown)
        by = f", held by {', '.join(shown)}{f' and {more:,} more' if more > 0 else ''}" if shown else ""
        return f"waits for {named(lock)}{by}{_place(held)}"

    def _holder(self, one: Holder) -> str:
        worker = next((worker for worker in self._roster.workers() if worker.id == one.worker), None)
        where = f" on {worker.name} ({worker.host})" if worker is not None else ""
        title = on_one_line(one.title or one.name, _MOST_CHARACTERS)
        return f"{title}{where} for {one.since_s:,.0f} s"


def named(lock: Lock) -> str:
    """Return what a lock is, in words."""
    shown = on_one_line(lock.name, _MOST_CHARACTERS)
    if shown.startswith("task:"):
        task, _, key = shown.removeprefix("task:").partition(":")
        return f"its turn: at most {lock.capacity} of {task}{f' with key {key!r}' if key else ''} at once"
    return (
        f"lock {shown!r}"
        if lock.capacity == 1
        else f"semaphore {shown!r} (at most {lock.capacity:,} at once)"
    )


def _place(held: Occupancy) -> str:
    if held.before is None:
        return f"; {held.waiting:,} wait" if held.waiting > 1 else ""
    if not held.before:
        return "; it is next"
    return f"; {held.before:,} {'waits' if held.before == 1 else 'wait'} before it"
