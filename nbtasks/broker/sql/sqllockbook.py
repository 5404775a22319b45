"""Locks as they are kept: who holds them, who stands in their lines, and whose turn it is. In a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.consumers import worker_of
from nbtasks.core.lock import Lock

from .sqlentries import WAITS, add_copy, covered

if TYPE_CHECKING:
    from .sqltransaction import Transaction

#: Milliseconds for which a lock is kept for one that was told that it is its turn.
_CALLED_MS = 5000
#: What is looked at in a line, and of that what is called, in one go: of many that have ended in the line, others take
#: care a moment later.
_MOST_LOOKED_AT, _MOST_CALLED = 2500, 500
#: Those at the beginning of a line that are looked at, whether they will come, and how often.
_MOST_THINNED, _ROUNDS = 100, 20
#: The address of code that waits by itself.
CODE = "@"
_LINE = "held, name, capacity, ticket, address, entry, called"


@dataclass(frozen=True)
class InLine:
    """One in a line."""

    held: str
    name: str
    capacity: int
    ticket: int
    address: str
    entry: int | None
    called: int | None


@dataclass(frozen=True)
class LocksTaken:
    """What came of it to take locks.

    Attributes:
        token: all of them are held; None where they are not.
        place: which one is to be waited for.
        had: the ticket of one who has waited before.
        others: somebody who has waited for longer could have it.
    """

    token: int | None
    place: int = 0
    had: int | None = None
    others: bool = False


class LockBook:
    """Some locks, which nobody else changes from here on until the transaction ends.

    What is read after this is what the last one has left. A verb names all of its locks at once, after its own entries.
    """

    def __init__(self, tx: Transaction, locks: Sequence[str]) -> None:
        self._tx = tx
        self.now = tx.now_ms()
        for name in sorted(set(locks)):
            tx.put("@lock_marks", ("ns", "name"), {"ns": tx.ns, "name": name, "ticket": 0})

    def ticket(self, locks: Sequence[str]) -> int:
        """Return a number that is larger than all that these locks have given out."""
        rows = self._tx.rows_in(
            "SELECT ticket FROM @lock_marks WHERE ns = ? AND name IN (*)", (self._tx.ns,), locks
        )
        # Not far behind the clock: so marks may go that nobody has needed for a while.
        found: int = max(self._tx.now_us(), *(ticket + 1 for (ticket,) in rows))
        self._tx.run_in(
            "UPDATE @lock_marks SET ticket = ? WHERE ns = ? AND name IN (*)", (found, self._tx.ns), locks
        )
        return found

    # -- who is there

    def has_lease(self, worker: str) -> bool:
        """Whether there is a lease for a worker, or a client."""
        statement = "SELECT lease FROM @workers WHERE ns = ? AND worker = ?"
        return self._tx.value(statement, self._tx.ns, worker) is not None

    def has_left(self, one: InLine) -> bool:
        """Whether one in a line will never come: a call that has ended, code whose process has no lease."""
        if one.address == CODE:
            return not self.has_lease(worker_of(worker_of(one.name)))
        batch, _, index = one.name.partition(":")
        statement = "SELECT 1 FROM @batches WHERE ns = ? AND batch = ?"
        if self._tx.value(statement, self._tx.ns, batch) is None:
            return True
        return covered(self._tx, batch, int(index), 1) > 0

    def _is_called(self, called: int | None) -> bool:
        return called is not None and 0 < called - self.now <= _CALLED_MS

    def line(self, lock: str, most: int = _MOST_LOOKED_AT) -> list[InLine]:
        """Return those who wait, in their order."""
        rows = self._tx.rows(
            f"SELECT {_LINE} FROM @lock_lines WHERE ns = ? AND held = ? AND called IS NULL ORDER BY ticket LIMIT ?",  # noqa: S608
            *(self._tx.ns, lock, most),
        )
        return [InLine(*row) for row in rows]

    def called(self, lock: str) -> list[InLine]:
        """Return those who were told that it is their turn."""
        rows = self._tx.rows(
            f"SELECT {_LINE} FROM @lock_lines WHERE ns = ? AND held = ? AND called IS NOT NULL",  # noqa: S608
            *(self._tx.ns, lock),
        )
        return [InLine(*row) for row in rows]

    def room(self, lock: str, capacity: int, name: str) -> int:
        """Return how many more may hold a lock, for one who says how many may at most, himself not counted.

        The least that is said counts: nobody holds it with more others than he has agreed to. Who was called has its
        place for a while.
        """
        statement = "SELECT name, capacity FROM @lock_holds WHERE ns = ? AND held = ?"
        others = [most for holder, most in self._tx.rows(statement, self._tx.ns, lock) if holder != name]
        others += [
            one.capacity for one in self.called(lock) if one.name != name and self._is_called(one.called)
        ]
        return int(min(capacity, *others, capacity)) - len(others)

    # -- whose turn it is

    def go_on(self, lock: str) -> None:
        """Have those come whose turn it is, in their order.

        Where one was called and has not come, its queue has nobody who would take it for now: others of that queue are
        passed over until it comes.
        """
        waiting = self.line(lock)
        if not waiting:
            return
        late = {
            one.address
            for one in self.called(lock)
            if one.address != CODE and not self._is_called(one.called)
        }
        left = _MOST_CALLED
        for one in waiting:
            if one.address in late:
                continue
            if not left or self.room(lock, one.capacity, one.name) < 1:
                return
            left -= 1
            self._summon(one)

    def _summon(self, one: InLine) -> None:
        """Tell one of the line that it is its turn; one that will never come leaves it."""
        if self.has_left(one) or not (one.address == CODE or self._queued(one)):
            self.leave(one)
            return
        self._tx.run(
            "UPDATE @lock_lines SET called = ?, entry = NULL WHERE ns = ? AND name = ? AND held = ?",
            *(self.now + _CALLED_MS, self._tx.ns, one.name, one.held),
        )

    def _queued(self, one: InLine) -> bool:
        """Queue what one in a line lies in, as returned work."""
        found = self._lies_in(one)
        if found is None:
            return False
        back = {"standing": WAITS, "due": None, "waits_for": "", "queued": self.now, "place": found // 2 * 2}
        add_copy(self._tx, one.entry or 0, **back)
        self._tx.run("DELETE FROM @entries WHERE id = ?", one.entry)
        return True

    def _lies_in(self, one: InLine) -> int | None:
        """Return the place of what one lies in that waits for its turn; None where there is none."""
        batch, _, index = one.name.partition(":")
        found: int | None = self._tx.value(
            "SELECT place FROM @entries WHERE id = ? AND waits_for = ? AND batch = ? AND first = ? FOR UPDATE",
            *(one.entry, f"@{one.held}", batch, int(index) if index.isdigit() else -1),
        )
        return found

    def leave(self, one: InLine) -> None:
        """Somebody is not in a line any more; nor is what it lay in."""
        if one.entry is not None and self._lies_in(one) is not None:
            self._tx.run("DELETE FROM @entries WHERE id = ?", one.entry)
        self.forget(one.held, one.name)

    def forget(self, lock: str, name: str) -> None:
        """Nobody of this name waits for a lock any more, or was called to it."""
        self._tx.run(
            "DELETE FROM @lock_lines WHERE ns = ? AND name = ? AND held = ?", self._tx.ns, name, lock
        )

    def thin(self, lock: str) -> None:
        """Take those out of the beginning of a line that will not come: else they would count as waiting."""
        for _ in range(_ROUNDS):
            gone = [one for one in self.line(lock, _MOST_THINNED) if self.has_left(one)]
            for one in gone:
                self.leave(one)
            if not gone:
                return

    # -- taken and given back

    def through(self, lock: str, name: str, consumer: str) -> None:
        """Somebody is through with a lock, whether it has held it or was only called to it."""
        self._tx.run(
            "DELETE FROM @lock_holds WHERE ns = ? AND held = ? AND name = ? AND consumer = ?",
            *(self._tx.ns, lock, name, consumer),
        )
        self._tx.run(
            "DELETE FROM @lock_lines WHERE ns = ? AND held = ? AND name = ? AND called IS NOT NULL",
            *(self._tx.ns, lock, name),
        )
        self.go_on(lock)

    def take(self, locks: Sequence[Lock], name: str, consumer: str, title: str) -> LocksTaken:
        """Take locks, all of them or none."""
        had = min(
            (one.ticket for lock in locks for one in self.called(lock.id) if one.name == name), default=None
        )
        for place, lock in enumerate(locks):
            statement = "SELECT consumer FROM @lock_holds WHERE ns = ? AND held = ? AND name = ?"
            whose = self._tx.value(statement, self._tx.ns, lock.id, name)
            if whose == consumer:
                continue
            # It runs somewhere else, or did a moment ago: then this is a copy, which waits for its end.
            if whose is not None or self.room(lock.id, lock.capacity, name) < 1:
                return LocksTaken(None, place, had)
            if self._is_before(lock.id, name, had):
                return LocksTaken(None, place, had, others=True)
        token = self.ticket([lock.id for lock in locks])
        columns = ("ns", "held", "name", "capacity", "token", "since", "worker", "consumer", "title")
        rows = [
            (self._tx.ns, lock.id, name, lock.capacity, token, self.now, worker_of(consumer), consumer, title)
            for lock in locks
        ]
        over = ("capacity", "token", "since", "title")
        self._tx.put_many("@lock_holds", ("ns", "held", "name"), columns, rows, over)
        for lock in locks:
            self._tx.run(
                "DELETE FROM @lock_lines WHERE ns = ? AND held = ? AND name = ? AND called IS NOT NULL",
                *(self._tx.ns, lock.id, name),
            )
        return LocksTaken(token)

    def _is_before(self, lock: str, name: str, had: int | None) -> bool:
        """Whether somebody has waited for longer. Those that are passed over do not keep others from their turn."""
        first = next(iter(self.line(lock, 1)), None)
        if first is None or not (had is None or first.ticket < had):
            return False
        return not any(one.name == name and self._is_called(one.called) for one in self.called(lock))

    def wait(self, lock: Lock, name: str, ticket: int | None, address: str, entry: int | None) -> None:
        """Have somebody wait for a lock; one who has waited before has its old place."""
        row = {
            "ns": self._tx.ns, "held": lock.id, "name": name, "capacity": lock.capacity,
            "ticket": self.ticket([lock.id]) if ticket is None else ticket, "address": address, "entry": entry,
            "called": None,
        }  # fmt: skip
        over = ("capacity", "ticket", "address", "entry", "called")
        self._tx.put("@lock_lines", ("ns", "name", "held"), row, over)
