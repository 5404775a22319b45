"""Which call a key stands for: the one of a unique task that waits or runs. It is free again when that has ended."""

from __future__ import annotations

from typing import Protocol

#: Milliseconds for which a claim is believed whose call is on its way: longer than that takes.
GRACE_MS = 10_000


class UniqueCalls(Protocol):
    """Claims keys for calls that are about to be submitted."""

    def claim(self, key: str, batch: str, for_s: float) -> str:
        """Return the batch of the call that a key stands for; ``batch`` where there was none: then it is this one's.

        One step: of several that claim at once, all get the same batch. A claim whose batch nobody has recorded yet is
        believed for :data:`GRACE_MS`. May be said again with the same batch.

        Args:
            key: as :attr:`Lock.id`.
            batch: of a single call.
            for_s: seconds for which it counts at most, while the call waits or runs; 0: as long as it does.
        """
