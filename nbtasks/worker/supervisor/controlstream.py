"""Follow the control stream: orders to stop calls, and hints about calls that fall due."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from nbtasks.broker.brokererrors import NewsUnreadable, PlaceLost
from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.sessionnews import Position
from nbtasks.core.errors import OperationalError
from nbtasks.worker.log import LOGGER, log_once, log_trouble

from .heeding import ORDER_S, Heeding

#: Longest time between two looks at calls that are due: a hint about one may have been lost.
_LOOK_S = 5.0
#: Kinds of what is told besides orders, and may be nothing for this worker.
_HINTS = frozenset({"wf", "sd"})


class ControlStream:
    """A thread that waits for orders and, in between, queues calls that are due.

    Args:
        line: where orders are waited for; nothing else is sent there.
        duties: what is due is queued over that.
        clock: of the server.
        heeding: sees to orders.
        hints: what is to be done when something is told besides, by its kind: ``wf`` that something has failed in a
            workflow, ``sd`` that periodic tasks have changed.
    """

    def __init__(
        self,
        line: BrokerLine,
        duties: BrokerLine,
        clock: ServerClock,
        addresses: Sequence[str],
        heeding: Heeding,
        hints: Mapping[str, Callable[[], None]],
    ) -> None:
        self._line = line
        self._ordering = line.ordering()
        self._queues = duties.queues()
        self._dropping = duties.ordering()
        self._clock = clock
        self._addresses = addresses
        self._heeding = heeding
        self._hints = hints
        self._ended = False
        self._after: Position | None = None

    def start(self, age_s: float) -> None:
        """Follow what was ordered since ``age_s`` seconds ago: children may have run calls before this could begin."""
        self._after = self._ordering.position_at(self._clock.ask().at - age_s)
        self._heeding.begin(age_s)
        threading.Thread(target=self._loop, name="nbtasks-orders", daemon=True).start()

    def stop(self) -> None:
        """Stop following."""
        self._ended = True
        self._line.abort()

    def _loop(self) -> None:
        due_at = 0.0
        while not self._ended:
            try:
                if time.monotonic() >= due_at:
                    due_at = time.monotonic() + self._promote()
                # By our clock: a server that has nothing else to do ends a wait up to a tenth of a second too late.
                self._ordering.ask(self._after, round(min(self._line.block_s, _LOOK_S) * 1000))
                for entry_id, kind, data in self._ordering.asked(max(0.0, due_at - time.monotonic())):
                    self._after = entry_id
                    if not self._heed(kind, data):
                        due_at = 0.0
            except NewsUnreadable as error:
                self._begin_anew(error)
            except PlaceLost:
                due_at = 0.0
                self._begin_from_lately()
            except OperationalError as error:
                if not self._ended:
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
            self._heeding.heed(data)
        elif kind in _HINTS:
            self._hints.get(kind, _nothing)()
        elif kind == "odd":
            self._note_odd(data)
        else:
            return False
        return True

    def _begin_anew(self, error: NewsUnreadable) -> None:
        """Nothing would be heard any more: who writes to the server, and not one of us, has done this."""
        log_once(f"the stream of orders: {error}; what lay there was dropped")
        self._after = None
        with contextlib.suppress(OperationalError):
            self._dropping.drop()

    def _begin_from_lately(self) -> None:
        """What is older is refused anyway, and what was heard before is not followed twice."""
        with contextlib.suppress(OperationalError):
            self._after = self._ordering.position_at(self._clock.ask().at - ORDER_S)

    def _note_odd(self, data: bytes) -> None:
        name = data[:200].decode(errors="replace")
        log_once(f"somebody had put something else in the place of {name!r}: it was dropped")

    def _promote(self) -> float:
        """Queue what is due; returns the seconds until the next look."""
        wait_s = _LOOK_S
        for address in self._addresses:
            moved, next_s = self._queues.promote(address, self._clock.now())
            while moved >= 200:
                moved, next_s = self._queues.promote(address, self._clock.now())
            if next_s is not None:
                wait_s = min(wait_s, next_s)
        return wait_s


def _nothing() -> None:
    """Do nothing."""
