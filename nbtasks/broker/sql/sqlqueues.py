"""Queues looked at from outside; and what is due is queued."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.entry import SETTLED
from nbtasks.broker.verbs.finish import DOUBT
from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES

from .sqlentries import HELD, LATER, WAITS, add_copy, drop_entries, queue_of, queue_there
from .sqlhousekeeping import sweep
from .sqlworkflows import is_releasing, release_more

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

_MOST_ADDRESSES = 1000
_MOST_AT_ONCE = 200
#: Batches that have expired which are removed along with what is queued.
_MOST_SWEPT = 100
_DAY_MS = 86_400_000


class SqlQueues:
    """Looks at them."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def addresses(self) -> list[Address]:
        """Return every queue address that has been used, of a thousand at most."""
        found = []
        for text in self._line.read(addresses):
            with contextlib.suppress(ValueError):
                found.append(Address.parse(text))
        return sorted(found)[:_MOST_ADDRESSES]

    def length(self, address: str, lanes: str) -> int:
        """Return how many entries wait or run in these lanes of a queue."""
        return sum(self._line.read(queue_length, address, lanes))

    def waiting(self, address: str, lanes: str) -> int:
        """Return how many entries of these lanes of a queue no worker has taken yet."""
        return self._line.read(queue_length, address, lanes)[0]

    def in_hand(self, address: str, sizes: Mapping[str, int]) -> dict[str, set[int]]:
        """Return batch -> indexes of those calls of a queue that workers have in hand, running or about to."""
        found: dict[str, set[int]] = {}
        for batch, first, count in self._line.read(calls_in_hand, address, list(sizes)) if sizes else ():
            found.setdefault(batch, set()).update(range(first, min(first + count, sizes[batch])))
        return found

    def promote(self, address: str, now: float) -> tuple[int, float | None]:
        """Queue calls that are due; returns how many, and the seconds until the next one (None: none waits)."""
        now_ms = round(now * 1000)
        # Most supervisors look in vain, most of the time: they keep nobody from writing.
        next_ms = self._line.read(next_due, address, now_ms)
        if next_ms is not None and next_ms > now_ms:
            return 0, min(next_ms - now_ms, _DAY_MS) / 1000
        if next_ms is None:
            return 0, None
        moved, next_ms = self._line.write(promote, address, now_ms)
        return moved, None if next_ms is None else max(0, min(next_ms - now_ms, _DAY_MS)) / 1000


def addresses(tx: Transaction) -> list[str]:
    """Return every address that has had a call or a worker."""
    rows = tx.rows("SELECT address FROM @queues WHERE ns = ? ORDER BY address LIMIT 5000", tx.ns)
    return [text for (text,) in rows]


def queue_length(tx: Transaction, address: str, lanes: str) -> tuple[int, int]:
    """Return how many entries of some lanes wait, and how many are in hand."""
    places = [LANES.index(lane) for lane in lanes if lane in LANES]
    queue = queue_there(tx, address)
    statement = "SELECT count(*) FROM @entries WHERE queue = ? AND standing = ? AND place IN (*)"
    waiting, in_hand = (
        sum(number for (number,) in tx.rows_in(statement, (queue, standing), places))
        for standing in (WAITS, HELD)
    )
    return waiting, in_hand


def calls_in_hand(tx: Transaction, address: str, batches: Sequence[str]) -> list[Row]:
    """Return batch, first and size of what workers have in hand of some batches, of one queue."""
    queue = queue_there(tx, address)
    statement = "SELECT batch, first, size FROM @entries WHERE queue = ? AND standing = ? AND batch IN (*)"
    return tx.rows_in(statement, (queue, HELD), batches)


def next_due(tx: Transaction, address: str, now_ms: int) -> int | None:
    """Return when something is due, or has expired, next; None where there is nothing to do."""
    gone = tx.value(
        "SELECT min(expires) FROM @batches WHERE ns = ? AND expires IS NOT NULL AND expires <= ?",
        tx.ns,
        now_ms,
    )
    queue = queue_there(tx, address)
    if gone is None and is_releasing(tx):
        return now_ms
    due = tx.value("SELECT min(due) FROM @entries WHERE queue = ? AND standing = ?", queue, LATER)
    return due if gone is None else now_ms


def promote(tx: Transaction, address: str, now_ms: int) -> tuple[int, int | None]:
    """Queue calls that are due; returns how many, and when the next ones are (ms)."""
    # A supervisor comes here every few seconds: that is often enough for what has expired.
    sweep(tx, _MOST_SWEPT)
    queue = queue_of(tx, address)
    moved = promoted(tx, queue, now_ms, _MOST_AT_ONCE)
    if release_more(tx):
        return moved, now_ms
    return moved, tx.value("SELECT min(due) FROM @entries WHERE queue = ? AND standing = ?", queue, LATER)


def promoted(tx: Transaction, queue: int, now_ms: int, most: int) -> int:
    """Queue what is due: as another entry, which comes behind what was queued before. Returns how many."""
    rows = tx.rows(
        "SELECT id, batch, waits_for, flag FROM @entries WHERE queue = ? AND standing = ? AND due <= ? "
        "ORDER BY due, id LIMIT ? FOR UPDATE SKIP LOCKED",
        *(queue, LATER, now_ms, most),
    )
    batches = sorted({row[1] for row in rows})
    flagged: dict[str, int] = dict(
        tx.rows_in("SELECT batch, flagged FROM @batches WHERE ns = ? AND batch IN (*)", (tx.ns,), batches)
    )
    queued = tx.now_ms() if rows else 0
    for entry, batch, waits_for, flag in rows:
        if batch not in flagged:
            continue
        anew = SETTLED if waits_for == DOUBT else "1" if flagged[batch] and not flag else flag
        add_copy(tx, entry, standing=WAITS, due=None, waits_for="", queued=queued, flag=anew)
    drop_entries(tx, [row[0] for row in rows])
    return len(rows)
