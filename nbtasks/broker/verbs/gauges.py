"""What people read off the broker: how long queues are, which locks there are, what it says of itself.

Nothing of it is signed; it is only shown. Nothing is taken or changed.
"""

from __future__ import annotations

from typing import Protocol

from nbtasks.core.queuedepth import QueueDepth
from nbtasks.core.servergauges import ServerGauges


class Gauges(Protocol):
    """Reads them, each in one or two round trips."""

    def queues(self) -> list[QueueDepth]:
        """Return all queues that have had a call or a worker, by their names, 300 at most."""

    def lock_ids(self) -> list[str]:
        """Return the ids of locks that somebody holds or waits for, sorted, 200 at most."""

    def server(self) -> ServerGauges:
        """Return what the server says of itself; what it does not say is None."""
