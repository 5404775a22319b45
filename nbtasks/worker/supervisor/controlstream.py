"""Follow the control stream: orders to stop calls, and hints about calls that fall due."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from nbtasks.broker.redis.fleet import Fleet
from nbtasks.broker.redis.link import Link
from nbtasks.broker.redis.positions import BEGINNING, can_go_on, position_at
from nbtasks.broker.redis.servertime import ServerClock
from nbtasks.broker.redis.untrusted import is_unusable
from nbtasks.core.clock import steady
from nbtasks.core.errors import OperationalError, SignatureMismatch
from nbtasks.core.orders import LimitTask, Order
from nbtasks.core.workeranswer import WorkerAnswer
from nbtasks.wire.codec import Codec
from nbtasks.wire.replay import Recent
from nbtasks.worker.log import LOGGER, log_once, log_trouble

#: Longest time between two looks at calls that are due: a hint about one may have been lost.
_LOOK_S = 5.0
#: Seconds that an order counts after it was given: a recorded one is of no use later.
_ORDER_S = 60.0


class ControlStream:
    """A thread that waits for orders and, in between, queues calls that are due.

    Args:
        link: where orders are waited for; nothing else is sent there.
        duties: what is due is queued through that.
        clock: of the server.
        worker: id of this one.
        obey: called with each verified order that is for this worker, and its id; returns what is to be answered.
        on_fallout: called when something has failed in a workflow.
        answer: takes an answer to where it is waited for.
        on_schedule: called when periodic tasks have changed; None where that is nothing for this worker.
    """

    def __init__(
        self,
        link: Link,
        fleet: Fleet,
        duties: Fleet,
        clock: ServerClock,
        codec: Codec,
        addresses: Sequence[str],
        worker: str,
        obey: Callable[[Order, str], WorkerAnswer],
        on_fallout: Callable[[], None],
        answer: Callable[[str, str, bytes], None],
        on_schedule: Callable[[], None] | None = None,
    ) -> None:
        self._link = link
        self._fleet = fleet
        self._duties = duties
        self._clock = clock
        self._codec = codec
        self._addresses = addresses
        self._worker = worker
        self._obey = obey
        self._on_fallout = on_fallout
        self._answer = answer
        self._on_schedule = on_schedule
        self._ended = False
        self._after = BEGINNING
        self._recent = Recent(_ORDER_S)
        self._began_at = steady()

    def start(self, age_s: float) -> None:
        """Follow what was ordered since ``age_s`` seconds ago: children may have run calls before this could begin."""
        self._after = position_at(self._clock.ask().at - age_s)
        self._began_at = steady() - age_s
        threading.Thread(target=self._loop, name="nbtasks-orders", daemon=True).start()

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

    def stop(self) -> None:
        """Stop following."""
        self._ended = True
        self._link.abort()

    def _loop(self) -> None:
        due_at = 0.0
        while not self._ended:
            try:
                if time.monotonic() >= due_at:
                    due_at = time.monotonic() + self._promote()
                # By our clock: a server that has nothing else to do ends a wait up to a tenth of a second too late.
                self._fleet.ask_control(self._after, round(min(self._link.block_s, _LOOK_S) * 1000))
                for entry_id, kind, data in self._fleet.asked_control(max(0.0, due_at - time.monotonic())):
                    self._after = entry_id
                    if not self._heed(kind, data):
                        due_at = 0.0
                if not can_go_on(self._after):
                    self._begin_anew("orders come with ids that no others can follow")
            except OperationalError as error:
                if is_unusable(error):
                    self._begin_anew("something else stands where orders belong")
                elif not self._ended:
                    log_trouble("orders cannot be read", error)
                    time.sleep(0.5)
                    due_at = 0.0
            except Exception:
                if not self._ended:
                    LOGGER.exception("an order could not be followed")
                    time.sleep(0.5)

    def _heed(self, kind: str, data: bytes) -> bool:
        """See to what was told; False for a hint about what falls due."""
        if kind == "c":
            self._follow(data)
        elif kind == "wf":
            self._on_fallout()
        elif kind == "sd":
            if self._on_schedule is not None:
                self._on_schedule()
        elif kind == "odd":
            self._note_odd(data)
        else:
            return False
        return True

    def _begin_anew(self, why: str) -> None:
        """Nothing would be heard any more: who writes to the server, and not one of us, has done this."""
        log_once(f"{why}: what lay there was dropped")
        self._after = BEGINNING
        with contextlib.suppress(OperationalError):
            self._duties.drop_control()

    def _note_odd(self, data: bytes) -> None:
        name = data[:200].decode(errors="replace")
        log_once(f"somebody had put something else in the place of {name!r}: it was dropped")

    def _promote(self) -> float:
        """Queue what is due; returns the seconds until the next look."""
        wait_s = _LOOK_S
        for address in self._addresses:
            moved, next_s = self._duties.promote(address, self._clock.now())
            while moved >= 200:
                moved, next_s = self._duties.promote(address, self._clock.now())
            if next_s is not None:
                wait_s = min(wait_s, next_s)
        return wait_s

    def _follow(self, frame: bytes) -> None:
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
            self._answer(order.reply, self._worker, self._codec.seal_answer(answer))

    def _is_fresh(self, order: Order) -> bool:
        # Not as the server's time is reckoned: by how much its clock is ahead, anybody may have written there.
        now = self._clock.ask().at
        return self._recent.fresh(
            (order.sender, order.number), order.at, now, since=now - (steady() - self._began_at)
        )
