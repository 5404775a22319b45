"""Which call a key stands for: the one of a unique task that waits or runs. It is free again when that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.uniquecalls import GRACE_MS

if TYPE_CHECKING:
    from .pglink import PgLink


class PgUniqueCalls:
    """Claims keys for calls that are about to be submitted."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def claim(self, key: str, batch: str, for_s: float) -> str:
        """Return the batch of the call that a key stands for; ``batch`` where there was none."""
        return str(self._line.one("claim", key, batch, round(for_s * 1000), GRACE_MS))
