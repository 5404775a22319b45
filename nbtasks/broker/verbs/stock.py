"""What of some batches lies in the queues: a call that has not ended is in one of them, waiting or in hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Look:
    """What a look has found: batch -> (first, count) of calls.

    Attributes:
        at_once: nothing could move meanwhile.
    """

    found: dict[str, list[tuple[int, int]]]
    at_once: bool


class Stock(Protocol):
    """Looks into queues; takes and changes nothing."""

    def look(self, address: str, batches: Sequence[str]) -> Look:
        """Return what of these batches lies in a queue: waiting, in hand, due later, or waiting for a lock or limit.

        Every batch that was asked about is a key of what was found. What is told may have ended meanwhile; where the
        look was not one step, something may be missed that moved, so its caller looks twice before it takes calls for
        lost. A leg that cannot lose queued calls while it keeps the rest needs it all the same: whoever writes to the
        server can.
        """

    def parked(self, batches: Sequence[str]) -> dict[str, set[int]]:
        """Return of each batch the first calls of its chunks that wait for other batches."""

    def known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether it is recorded."""
