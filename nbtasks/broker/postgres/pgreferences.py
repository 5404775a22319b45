"""Which entries were queued since anybody asked: what a carrier is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.carrier import MOST_REFERENCES

if TYPE_CHECKING:
    from nbtasks.core.address import Address

    from .pglink import PgLink

#: Entries come in another order than their numbers: how far before the last one it is looked for others.
_LOOK_BACK = 200


class PgReferences:
    """Those of some addresses; the list may grow."""

    def __init__(self, line: PgLink, addresses: Sequence[Address]) -> None:
        self._line = line
        self._addresses = addresses

    def queued(self, block_ms: int) -> dict[str, int]:
        """Return address -> how many entries were queued since anybody asked; waits where there are none."""
        give_up_at = time.monotonic() + block_ms / 1000
        found = self._look()
        looks = 0
        while not found and (left_s := give_up_at - time.monotonic()) > 0:
            self._line.wait_to_be_told(min(left_s, self._line.look_again_s), looks)
            looks += 1
            found = self._look()
        return found

    def _look(self) -> dict[str, int]:
        asked = (sorted(set(self._addresses)), self._line.lying_down(), _LOOK_BACK, MOST_REFERENCES)
        return dict(self._line.rows("queued_entries", *asked))
