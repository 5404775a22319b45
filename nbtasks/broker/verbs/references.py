"""What was queued in a ledger and has to be told: from there a carrier brings it to those who wait."""

from __future__ import annotations

from typing import Protocol


class References(Protocol):
    """The entries of some addresses that nobody has been told of yet.

    To queue an entry is all that has to be done for that, whoever does it and in whatever step: nothing that queues
    anything knows of carriers, or becomes slower by them.
    """

    def queued(self, block_ms: int) -> dict[str, int]:
        """Return address -> how many entries were queued since anybody asked, without those that are taken already.

        Waits up to ``block_ms`` where there are none. Of several who ask, one is told of an entry. Who is told and dies
        has told nobody: that is for whoever compares what waits with what the carrier has.

        Raises:
            BrokerUnavailable: what was to be told may be lost.
        """
