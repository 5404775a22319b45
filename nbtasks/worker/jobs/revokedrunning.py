"""Which calls were revoked while they ran: they may end, and are not started again.

The client's order is kept with the batch, signed: a worker that dies, or a retry, must not make anybody forget it.
"""

from __future__ import annotations

from collections.abc import Callable

from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.orders import StopCalls
from nbtasks.core.states import FIRST_READY_CODE
from nbtasks.wire.codec import Codec
from nbtasks.worker.log import log_once

#: Reads (batch, first, count) -> one state code a call, and the orders that may be about them by index, -1 for all.
ReadStanding = Callable[[str, int, int], tuple[bytes, dict[int, bytes]]]


class RevokedRunning:
    """Reads how calls stand; believes no order unverified."""

    def __init__(self, read: ReadStanding, codec: Codec) -> None:
        self._read = read
        self._codec = codec

    def among(self, batch: str, first: int, count: int) -> tuple[frozenset[int], frozenset[int]]:
        """Return the indexes of ``count`` calls from ``first`` on that are final, and of those that are revoked."""
        if count <= 0:
            return frozenset(), frozenset()
        states, orders = self._read(batch, first, count)
        final = frozenset(first + place for place, code in enumerate(states) if code >= FIRST_READY_CODE)
        meant = {index for index, frame in orders.items() if self._means(frame, batch, index)}
        every = range(first, first + count)
        return final, frozenset(every if -1 in meant else meant.intersection(every)) - final

    def _means(self, frame: bytes, batch: str, index: int) -> bool:
        try:
            what = self._codec.open_order(frame or b"").what
        except SignatureMismatch as error:
            log_once(f"batch {batch}: an order to revoke was refused: {error}")
            return False
        return isinstance(what, StopCalls) and (what.batch, what.index) == (batch, index)
