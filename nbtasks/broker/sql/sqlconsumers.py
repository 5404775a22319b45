"""Who holds entries of some queues. There are none that nobody holds: an entry waits, or it has a holder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.core.address import Address

from .sqlentries import HELD, queue_there

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction


class SqlConsumers:
    """All consumers of some queues, whoever made them."""

    def __init__(self, line: SqlLink, addresses: Sequence[Address]) -> None:
        self._line = line
        self._addresses = addresses

    def counts(self) -> dict[str, int]:
        """Return every consumer that holds something with the number of its entries."""
        return self._line.read(holders, list(self._addresses))

    def adopt_orphans(self) -> int:
        """There are none."""
        return 0


def holders(tx: Transaction, addresses: Sequence[Address]) -> dict[str, int]:
    """Return every consumer of some queues that holds something, with the number of its entries."""
    found: dict[str, int] = {}
    for address in addresses:
        statement = "SELECT holder, count(*) FROM @entries WHERE queue = ? AND standing = ? GROUP BY holder"
        for holder, number in tx.rows(statement, queue_there(tx, address), HELD):
            found[holder] = found.get(holder, 0) + number
    return found
