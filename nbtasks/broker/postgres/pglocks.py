"""Locks: who holds them, who waits for them, and what becomes of those that a dead process held.

A holder is known by a name, and by the consumer that it runs in: a worker's child, or a client. It holds a lock until
it gives it back, or until its worker, or its client, has lost its lease; nobody guesses how long that may take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.consumers import worker_of
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.locks import LOOK_S, MOST_AT_ONCE, MOST_LOCKS, MOST_SHOWN, Turn, title_of
from nbtasks.core.errors import BrokerUnavailable
from nbtasks.core.lock import Lock
from nbtasks.core.occupancy import Holder, Occupancy

from .pgoperations import number_of

if TYPE_CHECKING:
    from .pglink import PgLink


class PgCallLocks:
    """Takes locks for calls, as one consumer."""

    def __init__(self, line: PgLink, consumer: str) -> None:
        self._line = line
        self._consumer = consumer

    def take(self, entry: Entry, index: int, lane: str, title: str, locks: Sequence[Lock]) -> Turn:
        """Take the locks of a call that is about to start, all of them; or end its entry: it comes when it is its turn.

        Args:
            entry: what it came with, in which it is alone.
            lane: that it comes back to.
            title: what is shown of it.
        """
        place = (self._consumer, number_of(entry.id), lane, index, title_of(title))
        capacities = [one.capacity for one in locks]
        token, waits = self._line.rows("lock_for_call", *place, _ids(locks), capacities)[0]
        return Turn(token, waits)


class PgLocks:
    """All else that is done with locks."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    # -- of code that takes them by itself

    def acquire(self, lock: Lock, name: str, consumer: str, title: str, wait: bool) -> int | None:
        """Take a lock; returns the token, or None where it is not free.

        Args:
            wait: have a place in the line then. Who waits asks again when it is told to, and now and then.
        """
        args = (lock.id, lock.capacity, name, consumer, title_of(title), wait)
        token: int | None = self._line.one("lock_for_code", *args)
        return token

    def await_turn(self, name: str, most_s: float, given_up: Callable[[], bool]) -> None:
        """Wait until who has a place in a line is told that it is its turn."""
        end, looks = time.monotonic() + most_s, 0
        try:
            look_at = time.monotonic() + self._line.look_again_s
            while not self._line.one("lock_turn", name, self._line.lying_down()):
                woken = False
                while not woken and time.monotonic() < look_at:
                    if time.monotonic() >= end or given_up():
                        return
                    left_s = min(end, look_at) - time.monotonic()
                    woken = self._line.wait_to_be_told(min(LOOK_S, left_s), looks)
                    looks += 1
                look_at = time.monotonic() + self._line.look_again_s
        except BrokerUnavailable:
            time.sleep(min(LOOK_S, most_s))

    def release(self, locks: Sequence[Lock], name: str, consumer: str) -> None:
        """Give locks back, or leave their lines."""
        self._line.rows("lock_release", name, consumer, _ids(locks))

    def are_held(self, locks: Sequence[Lock], name: str, token: int) -> bool:
        """Whether somebody still holds what he has got with this token."""
        ids = set(_ids(locks))
        return bool(self._line.one("locks_held", sorted(ids), name, token) == len(ids))

    # -- of the dead

    def unlock(self, worker: str, consumer: str = "", guard: bool = False) -> int:
        """Give back what a consumer held, or all of a worker's; returns how many locks.

        Args:
            guard: only while there is no lease for the worker.
        """
        total = 0
        while True:
            found = int(self._line.one("lock_of_dead", worker, consumer or None, guard, MOST_AT_ONCE))
            total += found
            if found < MOST_AT_ONCE:
                return total

    def unlock_consumer(self, consumer: str) -> int:
        """Give back what one dead consumer held."""
        return self.unlock(worker_of(consumer), consumer)

    def unlock_all(self, workers: Sequence[str]) -> None:
        """Give back what workers and clients held that have no lease, of whom most held nothing."""
        for (worker,) in self._line.rows("holding", list(workers)) if workers else ():
            self.unlock(worker, guard=True)

    def see_to_lines(self) -> int:
        """See that all lines get on; returns how many there are."""
        ids = [lock for (lock,) in self._line.rows("lock_lists", MOST_LOCKS)]
        for start in range(0, len(ids), MOST_AT_ONCE):
            self._line.rows("lock_turns", ids[start : start + MOST_AT_ONCE])
        return len(ids)

    # -- looked at

    def occupancy(self, lock_id: str, capacity: int, address: str = "@", name: str = "") -> Occupancy:
        """Return who holds a lock.

        Args:
            capacity, address: of who waits; its name says it all here.
            name: under which it waits.
        """
        rows = self._line.rows("lock_holders", lock_id, name, MOST_SHOWN)
        waiting, before, count, *_ = rows[0]
        holders = tuple(
            Holder(holder, worker, title, since_ms / 1000, most)
            for _, _, _, holder, worker, title, since_ms, most in rows
            if holder is not None
        )
        return Occupancy(waiting, before, count, holders)


def _ids(locks: Sequence[Lock]) -> list[str]:
    return [one.id for one in locks]
