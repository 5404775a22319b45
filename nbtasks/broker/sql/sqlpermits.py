"""Rate limits: permits to start calls, from the server and in its time, so that all workers together keep to them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.permits import Grant, Limited

from .sqlentries import LATER, queue_there

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

# All in microseconds.
#: Starts that were missed for so long are made up for: a call comes back a moment later than it could start.
_CREDIT = 50_000
#: Who gets a permit keeps its slot until the start. For a few starts in quick succession that is less work than to come
#: back for each of them.
_SOON, _QUICK, _QUICK_HORIZON = 5_000, 20_000, 100_000
#: Calls that wait come back in a line: each when it is its turn, as long as that is within two seconds of the next
#: start. From there on they come 50 a second, so that the place of some that were revoked is not waited for.
_ORDERLY, _APART = 2_000_000, 20_000


class SqlPermits:
    """Takes permits, and says who waits for some."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def take(self, limit: str, every_s: float, most: int, in_hand: int, address: str) -> Grant:
        """Take permits to start calls."""
        return self._line.write_lazily(permit, limit, every_s * 1e6, most, in_hand, address)

    def limited(self, address: str, batch: str) -> Limited | None:
        """Return which limit, or lock, calls of a batch wait for; None where none is found to."""
        for waits_for, next_us, first in self._line.read(limited, address, batch):
            if waits_for.startswith("@"):
                return Limited("", lock=waits_for[1:], index=first)
            return Limited(waits_for.partition(":")[2], next_us / 1e6)
        return None


def permit(tx: Transaction, limit: str, every: float, most: int, in_hand: int, address: str) -> Grant:
    """Take permits to start calls of a task with a rate limit, in the server's time."""
    found = tx.row("SELECT starts, asks FROM @rates WHERE ns = ? AND name = ? FOR UPDATE", tx.ns, limit)
    now, (starts, asks) = tx.now_us(), found or (0, 0)
    horizon = _QUICK_HORIZON if every <= _QUICK else _SOON
    # No start is further away than this, unless the server's clock has gone back.
    starts = max(now - _CREDIT, min(starts, now + horizon + every))
    first, permits = starts, 0
    if starts <= now + _SOON:
        permits = min(most, math.floor((now + horizon - starts) / every) + 1)
        starts += permits * every
    due, left = max(starts, now), in_hand - permits
    if left > 0:
        longest = max(_ORDERLY, _APART * _waiting(tx, address))
        earliest = due
        due = min(max(asks, earliest), earliest + longest)
        turn = max(every, min(min(most, left) * every, horizon))
        asks = due + (turn if due + turn <= earliest + _ORDERLY else min(turn, _APART))
    row = {"ns": tx.ns, "name": limit, "starts": int(starts), "asks": int(asks)}
    if found is None:
        tx.run("INSERT INTO @rates (ns, name, starts, asks) VALUES (?, ?, ?, ?)", *row.values())
    else:
        tx.put("@rates", ("ns", "name"), row, ("starts", "asks"))
    return Grant(permits, math.ceil(first - now) / 1e6, math.ceil((due - now) / 1000) / 1000)


def _waiting(tx: Transaction, address: str) -> int:
    """Return how many entries of a queue are put aside."""
    statement = "SELECT count(*) FROM @entries WHERE queue = ? AND standing = ?"
    return int(tx.value(statement, queue_there(tx, address), LATER))


def limited(tx: Transaction, address: str, batch: str) -> list[Row]:
    """Return what a call of a batch waits for, us until the next start, and its index; or nothing."""
    rows = tx.rows(
        "SELECT waits_for, first FROM @entries WHERE batch = ? AND queue = ? AND standing = ? "
        "AND waits_for NOT IN ('', '?') ORDER BY due LIMIT 1",
        *(batch, queue_there(tx, address), LATER),
    )
    found = []
    for waits_for, first in rows:
        starts = tx.value("SELECT starts FROM @rates WHERE ns = ? AND name = ?", tx.ns, waits_for) or 0
        found.append((waits_for, max(0, starts - tx.now_us()), first))
    return found
