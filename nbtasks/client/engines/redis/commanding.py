"""Tell workers something, or ask them, and hear what they answer."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.orders import Command, LimitTask, Order

if TYPE_CHECKING:
    from nbtasks.broker.redis.ordering import Ordering
    from nbtasks.broker.redis.servertime import ServerClock
    from nbtasks.core.workeranswer import WorkerAnswer
    from nbtasks.wire.codec import Codec

    from .sending.outbox import Outbox

#: Seconds between two looks for answers, at first and later.
_LOOK_S = 0.002
_LATER_S = 0.02


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


class Commanding:
    """Gives orders to workers."""

    def __init__(self, ordering: Ordering, book: OrderBook, codec: Codec) -> None:
        self._ordering = ordering
        self._book = book
        self._codec = codec

    def ask(self, what: Command, workers: Sequence[str], timeout_s: float) -> dict[str, WorkerAnswer]:
        """Give an order to some workers, by their ids; returns the answers of those who answer in time."""
        if not workers:
            return {}
        reply = secrets.token_hex(16)
        self._ordering.give([self._book.sealed(what, one, reply) for one in workers])
        try:
            return self._answers(reply, workers, time.monotonic() + timeout_s)
        finally:
            self._ordering.drop_answers(reply, workers)

    def tell(self, what: Command, workers: Sequence[str]) -> None:
        """Give an order that nobody has to answer."""
        if workers:
            self._ordering.give([self._book.sealed(what, one) for one in workers])

    def keep(self, what: LimitTask) -> None:
        """Have workers that begin later follow an order, too."""
        self._ordering.give([], what.task, self._book.sealed(what))

    def _answers(self, reply: str, workers: Sequence[str], deadline: float) -> dict[str, WorkerAnswer]:
        found: dict[str, WorkerAnswer] = {}
        missing, look_s = list(workers), _LOOK_S
        while True:
            for worker, frame in self._ordering.answers(reply, missing).items():
                with contextlib.suppress(SignatureMismatch):
                    # Else somebody else has put it there.
                    found[worker] = self._codec.open_answer(frame, reply, worker)
            missing = [worker for worker in missing if worker not in found]
            rest_s = deadline - time.monotonic()
            if not missing or rest_s <= 0:
                return found
            time.sleep(min(look_s, rest_s))
            look_s = min(_LATER_S, look_s * 1.3)
