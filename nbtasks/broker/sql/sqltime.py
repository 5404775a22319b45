"""The server's clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.servertime import Reading
from nbtasks.core.clock import steady

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

#: The fact that says by how many ms the clock was set forward.
AHEAD = "ahead"
_MOST_DIGITS = 15


class SqlTime:
    """That of one server, with what is noted in one namespace."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def ask(self) -> Reading:
        """Return what the server tells of its time."""
        asked_at, wall_at = steady(), time.time()
        micros, ahead = self._line.read(server_time)
        return Reading(micros / 1e6, ahead.encode(), asked_at, steady(), wall_at)

    def set_ahead(self, noted: bytes, ahead: bytes) -> bool:
        """Note by how much the server's clock is ahead; False where somebody else has noted something meanwhile."""
        return self._line.write(set_ahead, noted.decode(), ahead.decode())


def server_time(tx: Transaction) -> tuple[int, str]:
    """Return the server's time (us), and what its clock is ahead."""
    return tx.now_us(), tx.fact(AHEAD)


def ahead_ms(tx: Transaction) -> int:
    """Return by how many ms the server's clock is ahead of its time as it is reckoned."""
    noted = tx.fact(AHEAD)
    return int(noted) if noted.removeprefix("-").isdigit() and len(noted) <= _MOST_DIGITS else 0


def set_ahead(tx: Transaction, before: str, ahead: str) -> bool:
    """Note that the server's clock was set; returns whether nobody else was first."""
    found = tx.value("SELECT value FROM @facts WHERE ns = ? AND name = ? FOR UPDATE", tx.ns, AHEAD)
    if (found or "") != before:
        return False
    tx.note(AHEAD, ahead)
    return True
