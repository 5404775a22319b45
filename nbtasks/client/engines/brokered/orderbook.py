"""Orders of one session, signed and numbered."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nbtasks.core.orders import Command, Order

if TYPE_CHECKING:
    from nbtasks.broker.servertime import ServerClock
    from nbtasks.wire.codec import Codec

    from .sending.outbox import Outbox


class OrderBook:
    """Signs and numbers the orders of one session: no two have the same number.

    Args:
        outbox: knows the session's current id.
    """

    def __init__(self, codec: Codec, clock: ServerClock, outbox: Outbox) -> None:
        self._codec = codec
        self._clock = clock
        self._outbox = outbox
        self._number = itertools.count(1)

    def sealed(self, what: Command, to: str = "", reply: str = "") -> bytes:
        """Return a signed order; ``to`` and ``reply`` as in :class:`Order`."""
        order = Order(what, self._outbox.session, next(self._number), self._clock.now(), to, reply)
        return self._codec.seal_order(order)
