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
from nbtasks.broker.verbs.locks import LOOK_S, MOST_AT_ONCE, MOST_LOCKS, MOST_SHOWN, Turn, call_name, title_of
from nbtasks.core.errors import BrokerUnavailable
from nbtasks.core.lock import Lock
from nbtasks.core.occupancy import Holder, Occupancy

from .sqlentries import LATER, add_copy, number_of, place_of
from .sqllockbook import CODE, LockBook

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

#: Added to a ticket, so that what waits for its turn is due when nobody lives who could see it (ms).
NEVER_MS = 4_000_000_000_000_000


class SqlCallLocks:
    """Takes locks for calls, as one consumer."""

    def __init__(self, line: SqlLink, consumer: str) -> None:
        self._line = line
        self._consumer = consumer

    def take(self, entry: Entry, index: int, lane: str, title: str, locks: Sequence[Lock]) -> Turn:
        """Take the locks of a call that is about to start, all of them; or end its entry: it comes when it is its turn.

        Args:
            entry: what it came with, in which it is alone.
            lane: that it comes back to.
            title: what is shown of it.
        """
        args = self._consumer, number_of(entry.id), lane, index, title_of(title), locks
        return self._line.write(lock_for_call, *args)


class SqlLocks:
    """All else that is done with locks."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    # -- of code that takes them by itself

    def acquire(self, lock: Lock, name: str, consumer: str, title: str, wait: bool) -> int | None:
        """Take a lock; returns the token, or None where it is not free.

        Args:
            wait: have a place in the line then. Who waits asks again when it is told to, and now and then.
        """
        return self._line.write(lock_for_code, lock, name, consumer, title_of(title), wait)

    def await_turn(self, name: str, most_s: float, given_up: Callable[[], bool]) -> None:
        """Wait until who has a place in a line is told that it is its turn."""
        end = time.monotonic() + most_s
        try:
            while (now := time.monotonic()) < end and not given_up():
                if self._line.wait_for(lambda: self._line.read(has_turn, name), min(end, now + LOOK_S)):
                    return
        except BrokerUnavailable:
            time.sleep(min(LOOK_S, most_s))

    def release(self, locks: Sequence[Lock], name: str, consumer: str) -> None:
        """Give locks back, or leave their lines."""
        self._line.write(lock_release, name, consumer, [one.id for one in locks])

    def are_held(self, locks: Sequence[Lock], name: str, token: int) -> bool:
        """Whether somebody still holds what he has got with this token."""
        return self._line.read(locks_held, {one.id for one in locks}, name, token)

    # -- of the dead

    def unlock(self, worker: str, consumer: str = "", guard: bool = False) -> int:
        """Give back what a consumer held, or all of a worker's; returns how many locks.

        Args:
            guard: only while there is no lease for the worker.
        """
        total = 0
        while True:
            found = self._line.write(lock_of_dead, worker, consumer, guard)
            total += found
            if found < MOST_AT_ONCE:
                return total

    def unlock_consumer(self, consumer: str) -> int:
        """Give back what one dead consumer held."""
        return self.unlock(worker_of(consumer), consumer)

    def unlock_all(self, workers: Sequence[str]) -> None:
        """Give back what workers and clients held that have no lease, of whom most held nothing."""
        for worker in self._line.read(holding, workers) if workers else ():
            self.unlock(worker, guard=True)

    def see_to_lines(self) -> int:
        """See that all lines get on; returns how many there are."""
        ids = self._line.read(lock_lists)
        for start in range(0, len(ids), MOST_AT_ONCE):
            self._line.write(lock_turns, ids[start : start + MOST_AT_ONCE])
        return len(ids)

    # -- looked at

    def occupancy(self, lock_id: str, capacity: int, address: str = CODE, name: str = "") -> Occupancy:
        """Return who holds a lock.

        Args:
            capacity, address: of who waits; its name says it all here.
            name: under which it waits.
        """
        return self._line.read(occupancy, lock_id, name)


def lock_for_call(
    tx: Transaction, consumer: str, entry: int, lane: str, index: int, title: str, locks: Sequence[Lock]
) -> Turn:
    """Take the locks of a call that is about to start, or have it wait for its turn: then it lies in nobody's hands."""
    found = tx.row(
        "SELECT e.batch, q.address FROM @entries e JOIN @queues q ON q.queue = e.queue WHERE e.id = ? AND e.holder = ? "
        "FOR UPDATE",
        entry,
        consumer,
    )
    if found is None:
        return Turn()
    batch, address = found
    name, book = call_name(batch, index), LockBook(tx, [one.id for one in locks])
    taken = book.take(locks, name, consumer, title)
    if taken.token is not None:
        return Turn(taken.token)
    wanted = locks[taken.place]
    ticket = book.ticket([wanted.id]) if taken.had is None else taken.had
    # As another entry: whoever still takes the old one to be in its hands cannot end this one.
    waits = {"standing": LATER, "due": NEVER_MS + ticket, "waits_for": f"@{wanted.id}", "queued": book.now}
    anew = add_copy(tx, entry, **waits, place=place_of(lane), first=index, size=1)
    tx.run("DELETE FROM @entries WHERE id = ?", entry)
    on = [lock.id for lock in locks if any(one.name == name for one in book.called(lock.id))]
    for lock in on:
        book.forget(lock, name)
    book.wait(wanted, name, ticket, address, anew)
    if taken.others:
        on = [*(one for one in on if one != wanted.id), wanted.id]
    for lock in on:
        book.go_on(lock)
    return Turn(waits=True)


def lock_for_code(
    tx: Transaction, lock: Lock, name: str, consumer: str, title: str, wait: bool
) -> int | None:
    """Take a lock for code that asks by itself, or give that a place in the line; it asks again now and then."""
    book = LockBook(tx, [lock.id])
    if _stands(tx, lock.id, name):
        # Perhaps somebody has died, or nobody has called it.
        book.go_on(lock.id)
        if _stands(tx, lock.id, name):
            return None
    taken = book.take([lock], name, consumer, title)
    if taken.token is None and wait:
        book.wait(lock, name, taken.had, CODE, None)
        if taken.others:
            book.go_on(lock.id)
    return taken.token


def _stands(tx: Transaction, lock: str, name: str) -> bool:
    statement = "SELECT 1 FROM @lock_lines WHERE ns = ? AND name = ? AND held = ? AND called IS NULL"
    return tx.value(statement, tx.ns, name, lock) is not None


def has_turn(tx: Transaction, name: str) -> bool:
    """Return whether it is the turn of code that waits in a line."""
    statement = "SELECT 1 FROM @lock_lines WHERE ns = ? AND name = ? AND called IS NOT NULL LIMIT 1"
    return tx.value(statement, tx.ns, name) is not None


def lock_release(tx: Transaction, name: str, consumer: str, locks: Sequence[str]) -> None:
    """Give locks back, or leave their lines."""
    book = LockBook(tx, locks)
    for lock in locks:
        tx.run(
            "DELETE FROM @lock_lines WHERE ns = ? AND name = ? AND held = ? AND address = ?",
            *(tx.ns, name, lock, CODE),
        )
        book.through(lock, name, consumer)


def locks_held(tx: Transaction, locks: set[str], name: str, token: int) -> bool:
    """Return whether somebody holds all these locks with this token."""
    statement = "SELECT held FROM @lock_holds WHERE ns = ? AND name = ? AND token = ? AND held IN (*)"
    return len(tx.rows_in(statement, (tx.ns, name, token), sorted(locks))) == len(locks)


def lock_of_dead(tx: Transaction, worker: str, consumer: str, guard: bool) -> int:
    """Give back what a dead consumer has held, or all consumers of a worker or a client; returns how many locks."""
    rows = [
        row
        for row in tx.rows(
            "SELECT held, name, consumer FROM @lock_holds WHERE ns = ? AND worker = ? ORDER BY held, name",
            *(tx.ns, worker),
        )
        if not consumer or row[2] == consumer
    ][:MOST_AT_ONCE]
    if not rows:
        return 0
    # Locked, so that it cannot come back in the middle of this.
    lease = "SELECT lease FROM @workers WHERE ns = ? AND worker = ? FOR UPDATE"
    if guard and tx.value(lease, tx.ns, worker) is not None:
        return 0
    book = LockBook(tx, [held for held, *_ in rows])
    for held, name, whose in rows:
        book.through(held, name, whose)
    return len(rows)


def holding(tx: Transaction, workers: Sequence[str]) -> list[str]:
    """Return which of some workers and clients hold any lock."""
    statement = "SELECT DISTINCT worker FROM @lock_holds WHERE ns = ? AND worker IN (*)"
    return [worker for (worker,) in tx.rows_in(statement, (tx.ns,), workers)]


def lock_lists(tx: Transaction) -> list[str]:
    """Return which locks somebody waits for."""
    statement = "SELECT DISTINCT held FROM @lock_lines WHERE ns = ? ORDER BY held LIMIT ?"
    return [lock for (lock,) in tx.rows(statement, tx.ns, MOST_LOCKS)]


def lock_ids(tx: Transaction, most: int) -> list[str]:
    """Return locks that somebody holds or waits for."""
    found = {
        lock
        for table in ("lock_holds", "lock_lines")
        for (lock,) in tx.rows(
            f"SELECT DISTINCT held FROM @{table} WHERE ns = ? ORDER BY held LIMIT ?",  # noqa: S608
            *(tx.ns, most),
        )
    }
    return sorted(found)[:most]


def lock_turns(tx: Transaction, locks: Sequence[str]) -> None:
    """See that locks get on that somebody waits for: whose holder has no lease any more, or who will not come."""
    book = LockBook(tx, locks)
    for lock in locks:
        for name, worker in tx.rows(
            "SELECT name, worker FROM @lock_holds WHERE ns = ? AND held = ?", tx.ns, lock
        ):
            if not book.has_lease(worker):
                tx.run("DELETE FROM @lock_holds WHERE ns = ? AND held = ? AND name = ?", tx.ns, lock, name)
        for one in book.called(lock):
            if book.has_left(one):
                book.leave(one)
        book.thin(lock)
        book.go_on(lock)


def occupancy(tx: Transaction, lock: str, name: str) -> Occupancy:
    """Return who holds a lock, and how many wait, how many of them before somebody."""
    waiting = tx.rows(
        "SELECT name FROM @lock_lines WHERE ns = ? AND held = ? AND called IS NULL ORDER BY ticket",
        tx.ns,
        lock,
    )
    names, now = [one for (one,) in waiting], tx.now_ms()
    rows = tx.rows(
        "SELECT name, worker, title, since, capacity FROM @lock_holds WHERE ns = ? AND held = ? ORDER BY token",
        *(tx.ns, lock),
    )
    holders = tuple(
        Holder(holder, worker, title, max(0, now - since) / 1000, most)
        for holder, worker, title, since, most in rows[:MOST_SHOWN]
    )
    return Occupancy(len(names), names.index(name) if name in names else None, len(rows), holders)
