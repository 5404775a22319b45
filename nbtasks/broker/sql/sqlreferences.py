"""Which entries were queued since anybody asked: what a carrier is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.carrier import MOST_REFERENCES

from .sqlentries import WAITS, queue_there

if TYPE_CHECKING:
    from nbtasks.core.address import Address

    from .sqllink import SqlLink
    from .sqltransaction import Transaction

#: The fact that says, behind the number of a queue, up to which entry somebody was told.
_TOLD = "told:"


class SqlReferences:
    """Those of some addresses; the list may grow."""

    def __init__(self, line: SqlLink, addresses: Sequence[Address]) -> None:
        self._line = line
        self._addresses = addresses

    def queued(self, block_ms: int) -> dict[str, int]:
        """Return address -> how many entries were queued since anybody asked; waits where there are none."""
        return self._line.wait_for(self._look, time.monotonic() + block_ms / 1000)

    def _look(self) -> dict[str, int]:
        addresses = sorted(set(self._addresses))
        if not self._line.read(untold, addresses):
            return {}
        return self._line.write_lazily(queued_entries, addresses)


def untold(tx: Transaction, addresses: Sequence[Address]) -> dict[str, tuple[int, int]]:
    """Return address -> number and last one of the entries that wait, of those that nobody was told of."""
    found = {}
    for address in addresses:
        queue = queue_there(tx, address)
        after = int(tx.fact(f"{_TOLD}{queue}") or 0)
        number, last = tx.rows(
            "SELECT count(*), max(id) FROM @entries WHERE queue = ? AND standing = ? AND id > ?",
            *(queue, WAITS, after),
        )[0]
        if number:
            found[str(address)] = min(number, MOST_REFERENCES), last
    return found


def queued_entries(tx: Transaction, addresses: Sequence[Address]) -> dict[str, int]:
    """Return address -> how many entries wait that nobody was told of, and note that somebody is."""
    found = untold(tx, addresses)
    for address, (_, last) in found.items():
        tx.note(f"{_TOLD}{queue_there(tx, address)}", str(last))
    return {address: number for address, (number, _) in found.items()}
