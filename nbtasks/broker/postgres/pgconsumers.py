"""Who holds entries of some queues. There are none that nobody holds: an entry waits, or it has a holder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.core.address import Address

if TYPE_CHECKING:
    from .pglink import PgLink


class PgConsumers:
    """All consumers of some queues, whoever made them."""

    def __init__(self, line: PgLink, addresses: Sequence[Address]) -> None:
        self._line = line
        self._addresses = addresses

    def counts(self) -> dict[str, int]:
        """Return every consumer that holds something with the number of its entries."""
        return dict(self._line.rows("holders", list(self._addresses)))

    def adopt_orphans(self) -> int:
        """There are none."""
        return 0
