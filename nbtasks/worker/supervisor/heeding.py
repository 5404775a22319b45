"""Orders as they come to a worker: verified, for it, and never twice; followed then, and answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.ordering import Ordering
from nbtasks.core.clock import steady
from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.orders import LimitTask, Order
from nbtasks.core.workeranswer import WorkerAnswer
from nbtasks.wire.codec import Codec
from nbtasks.wire.replay import Recent
from nbtasks.worker.log import log_once

#: Seconds that an order counts after it was given: a recorded one is of no use later.
ORDER_S = 60.0


class Heeding:
    """Believes orders of those who have the key.

    Args:
        clock: of the server.
        worker: id of this one.
        obey: called with each order that is for this worker, and its id; returns what is to be answered.
        ordering: takes answers to where they are waited for.
    """

    def __init__(
        self,
        codec: Codec,
        clock: ServerClock,
        worker: str,
        obey: Callable[[Order, str], WorkerAnswer],
        ordering: Ordering,
    ) -> None:
        self._codec = codec
        self._clock = clock
        self._worker = worker
        self._obey = obey
        self._ordering = ordering
        self._recent = Recent(ORDER_S)
        self._began_at = steady()

    def begin(self, age_s: float) -> None:
        """Heed what was ordered since ``age_s`` seconds ago: children may have run calls before this could begin."""
        self._began_at = steady() - age_s

    def take_over(self, kept: Sequence[bytes]) -> None:
        """Follow orders that are kept for workers which begin later."""
        for frame in kept:
            try:
                order = self._codec.open_order(frame)
            except SignatureMismatch as error:
                log_once(f"an order that is kept was refused: {error}")
                continue
            if isinstance(order.what, LimitTask):
                self._obey(order, self._worker)

    def heed(self, frame: bytes) -> None:
        """Follow an order, unless it is to be refused."""
        try:
            order = self._codec.open_order(frame)
        except SignatureMismatch as error:
            log_once(f"an order was refused: {error}")
            return
        if not (order.is_harmless or self._is_fresh(order)):
            what = type(order.what).__name__
            log_once(f"an order ({what}) was refused: it is from before, or was followed already")
        elif order.to in ("", self._worker):
            self._do(order)

    def _do(self, order: Order) -> None:
        answer = self._obey(order, self._worker)
        if order.reply:
            self._ordering.answer(order.reply, self._worker, self._codec.seal_answer(answer))

    def _is_fresh(self, order: Order) -> bool:
        # Not as the server's time is reckoned: by how much its clock is ahead, anybody may have written there.
        now = self._clock.ask().at
        return self._recent.fresh(
            (order.sender, order.number), order.at, now, since=now - (steady() - self._began_at)
        )
