"""Entries as they lie in the tables, and how their calls stand: what several verbs ask of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbtasks.core.lanenames import LANES

from .sqltransaction import Row, Transaction

#: How an entry stands: it waits, is in hand, or is to be queued later.
WAITS, HELD, LATER = 0, 1, 2
COLUMNS = "id, queue, place, batch, first, size, attempt, flag, follows, frame"


@dataclass(frozen=True)
class CallsStanding:
    """How the calls of an entry stand.

    Attributes:
        over: nothing is to be run of it: its batch is not known, or all its calls have ended.
        suspect: some of its calls may be final or revoked.
        told: whoever cares hears of one that is over; those that were revoked lie there rightly.
    """

    over: bool
    suspect: bool
    told: bool


class Standings:
    """How entries stand, in one transaction: batches are looked up once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._batches: dict[str, Row | None] = {}

    def note(self, batch: str, found: Row | None) -> None:
        """Note how many calls of a batch have ended, and whether it is flagged; None where there is none."""
        self._batches[batch] = found

    def of(self, batch: str, first: int, size: int) -> CallsStanding:
        """Return how one stands."""
        if batch not in self._batches:
            self._batches[batch] = self._tx.row(
                "SELECT done, flagged FROM @batches WHERE ns = ? AND batch = ?", self._tx.ns, batch
            )
        found = self._batches[batch]
        if found is None:
            return CallsStanding(over=True, suspect=False, told=True)
        done, flagged = found
        ended = covered(self._tx, batch, first, size) if done else 0
        return CallsStanding(ended >= size, bool(flagged) or ended > 0, not flagged)


def results_of(tx: Transaction, batch: str, first: int, size: int) -> list[Row]:
    """Return first, size and states of those rows of results that have some of these calls, in order.

    Rows of a batch have no call in common, so of those that begin before the calls only the last one can reach into
    them.
    """
    begins = tx.value(
        "SELECT max(first) FROM @results WHERE ns = ? AND batch = ? AND first <= ?", tx.ns, batch, first
    )
    return tx.rows(
        "SELECT first, size, states FROM @results WHERE ns = ? AND batch = ? AND first >= ? AND first < ? "
        "AND first + size > ? ORDER BY first",
        *(tx.ns, batch, first if begins is None else begins, first + size, first),
    )


def covered(tx: Transaction, batch: str, first: int, size: int) -> int:
    """Return how many of some calls have a result."""
    end = first + size
    return sum(min(a + n, end) - max(a, first) for a, n, _ in results_of(tx, batch, first, size))


def queue_of(tx: Transaction, address: str) -> int:
    """Return the number of a queue, which is made where it is new."""
    address = str(address)
    if address not in tx.queues:
        statement = "SELECT queue FROM @queues WHERE ns = ? AND address = ?"
        found = tx.value(statement, tx.ns, address)
        if found is None:
            tx.put("@queues", ("ns", "address"), {"ns": tx.ns, "address": address})
            found = tx.value(statement, tx.ns, address)
        tx.queues[address] = int(found)
    return tx.queues[address]


def queue_there(tx: Transaction, address: str) -> int:
    """Return the number of a queue; 0 where there is none. Changes nothing."""
    found = tx.value("SELECT queue FROM @queues WHERE ns = ? AND address = ?", tx.ns, str(address))
    return 0 if found is None else int(found)


def place_of(lane: str) -> int:
    """Return a lane's place in the order of service: returned work of each priority goes first, an even place."""
    return LANES.index(lane)


def add_entry(tx: Transaction, *row: Any) -> int:
    """Queue one; returns its number."""
    return tx.insert(_ADDING, tx.ns, *row)


_ADDING = (
    "INSERT INTO @entries (ns, queue, standing, place, batch, due, queued, first, size, attempt, waits_for, frame, "
    "flag) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')"
)


def add_entries(tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
    """Queue new entries: queue, standing, place, batch, due, queued, first, size, attempt, waits_for, frame of each."""
    tx.many(_ADDING, [(tx.ns, *row) for row in rows])


def is_full(tx: Transaction, queue: int, place: int, most: int) -> bool:
    """Return whether a lane holds so many entries. They are counted only where their numbers say that it may."""
    where = (queue, WAITS, place)
    low, high = tx.rows(
        "SELECT min(id), max(id) FROM @entries WHERE queue = ? AND standing = ? AND place = ?", *where
    )[0]
    if low is None or high - low + 1 < most:
        return False
    statement = "SELECT count(*) FROM @entries WHERE queue = ? AND standing = ? AND place = ?"
    return bool(tx.value(statement, *where) >= most)


#: What is set anew where an entry is queued once more: as another one, which comes behind what waits.
_MOVED = (
    "queue",
    "follows",
    "standing",
    "place",
    "due",
    "queued",
    "first",
    "size",
    "attempt",
    "flag",
    "waits_for",
)


def add_copy(tx: Transaction, entry: int, **changed: Any) -> int:
    """Queue what an entry holds, or a part of it, as another one. Nothing is kept of who held the first one."""
    chosen = ", ".join("?" if name in changed else name for name in _MOVED)
    args = [changed[name] for name in _MOVED if name in changed]
    return tx.insert(
        f"INSERT INTO @entries (ns, batch, frame, {', '.join(_MOVED)}) "  # noqa: S608  # names are ours
        f"SELECT ns, batch, frame, {chosen} FROM @entries WHERE id = ?",
        *args,
        entry,
    )


def drop_entries(tx: Transaction, entries: Sequence[int]) -> None:
    """Entries end."""
    tx.run_in("DELETE FROM @entries WHERE id IN (*)", (), entries)


def number_of(entry_id: bytes) -> int:
    """Return an entry's number; 0, which none has, where it is none of ours."""
    text = entry_id.partition(b"-")[0]
    return int(text) if text.isdigit() and len(text) < 19 else 0


def id_of(number: int) -> bytes:
    """Return an entry's id, as its worker keeps it."""
    return b"%d-0" % number


def tell(tx: Transaction, kind: str, data: bytes) -> None:
    """Tell all supervisors something, by its kind."""
    tx.run("INSERT INTO @control (ns, told, kind, data) VALUES (?, ?, ?, ?)", tx.ns, tx.now_ms(), kind, data)


def tell_due(tx: Transaction, due_ms: int | None) -> None:
    """Tell supervisors that something is due at a moment: who queues that sleeps until the first of it is."""
    if due_ms is not None:
        tell(tx, "due", b"%d" % due_ms)
