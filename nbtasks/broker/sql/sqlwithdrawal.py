"""Take calls out of a queue that are final and that no worker has taken: perhaps nobody ever serves it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from .sqlentries import HELD, covered, drop_entries, queue_there

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

_MOST_AT_ONCE = 200


class SqlWithdrawal:
    """Withdraws the entries of one batch, a part at a time."""

    def __init__(self, line: SqlLink, address: str, batch: str) -> None:
        self._line = line
        self._address = address
        self._batch = batch
        #: The last entry that was looked at.
        self._after = 0

    def run(self, most_s: float = math.inf) -> bool:
        """Withdraw for ``most_s`` seconds at most, then return whether there is nothing left."""
        end = time.monotonic() + most_s
        while True:
            last = self._line.write(withdraw, self._address, self._batch, self._after)
            if last is None:
                return True
            self._after = last
            if time.monotonic() > end:
                return False


def withdraw(tx: Transaction, address: str, batch: str, after: int) -> int | None:
    """Look at some entries of a batch behind one; returns the last one, None where there was none."""
    rows = tx.rows(
        "SELECT id, first, size FROM @entries WHERE batch = ? AND queue = ? AND standing <> ? AND id > ? ORDER BY id "
        "LIMIT ? FOR UPDATE SKIP LOCKED",
        *(batch, queue_there(tx, address), HELD, after, _MOST_AT_ONCE),
    )
    drop_entries(tx, [entry for entry, first, size in rows if covered(tx, batch, first, size) == size])
    return rows[-1][0] if rows else None
