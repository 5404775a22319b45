"""What ledgers ask of those who bring calls to workers, where a broker does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .session import Session
from .submitting import dispatch

if TYPE_CHECKING:
    from nbtasks.local.connection import Connection
    from nbtasks.wire.values import Shelf

    from .batches.ledger import Ledger
    from .batches.parcel import Parcel
    from .group import GroupResult


class RedisEngine:
    """Workers behind a Redis or Valkey server.

    Args:
        result_expires_s: seconds that results are kept after the last call of a batch has ended.
        result_limit: largest result in bytes.
        include: modules that workers have of their own.
    """

    def __init__(
        self, connection: Connection, result_expires_s: float, result_limit: int, include: Sequence[str] = ()
    ) -> None:
        self.session = Session(connection, result_expires_s, result_limit, self, include)

    @property
    def changed(self) -> threading.Condition:
        """Notified after every change of any ledger."""
        return self.session.registry.changed

    @property
    def shelf(self) -> Shelf:
        """Where large results are."""
        return self.session.shelf

    def read_here(self, most_s: float, eager: bool) -> bool:
        """Read what the broker tells, on the thread that waits; returns whether that could be done."""
        return self.session.read_here(most_s, eager)

    def revoke(self, batch: Ledger, index: int, terminate: bool) -> None:
        """Make calls that have not ended REVOKED; an index of -1 means all of them."""
        self.session.revoking.revoke(batch, index, terminate)

    def why_pending(self, batch: Ledger) -> str | None:
        """Say why nothing happens, with what to do."""
        return self.session.reasons.why_pending(batch)

    def retry_failed(self, batch: Ledger, parcel: Parcel) -> GroupResult:
        """Submit the calls again that failed or were revoked, as a new map.

        Raises:
            ConfigError: nothing failed.
        """
        return dispatch.retry_failed(self.session, batch, parcel)
