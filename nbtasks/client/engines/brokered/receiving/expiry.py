"""Ends calls whose time is over, where no worker does: perhaps nobody serves their queue.

A worker refuses a call that it finds too late. So what no worker has in hand some time after that moment was not
started in time, and will not be started any more: it is REVOKED, by whoever says so first.
"""

from __future__ import annotations

import heapq
import logging
import math
import threading
import weakref

from nbtasks.broker.servertime import ServerClock
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.ratelimits import rate_limit_of
from nbtasks.client.engines.brokered.roster import WorkerRoster
from nbtasks.client.engines.brokered.sending.endings import Endings
from nbtasks.client.engines.brokered.withdrawing import Withdrawing
from nbtasks.core import states as st
from nbtasks.core.errors import OperationalError, TaskRevokedError
from nbtasks.core.ranges import runs
from nbtasks.wire.errors import failures
from nbtasks.wire.record import Record

_log = logging.getLogger("nbtasks")
#: Seconds that a worker has to say it itself; clocks that are compared are a little off.
_GRACE_S = 1.5
#: Seconds until the next look at what workers have in hand, or after the broker did not answer.
_AGAIN_S = 5.0
#: Longest sleep: a machine that was asleep itself notices soon after.
_MOST_SLEEP_S = 30.0
#: Calls of one record.
_MOST_IN_RECORD = 1000


class Expiry:
    """A thread that sleeps until calls have expired; there is none as long as no call can."""

    def __init__(
        self,
        clock: ServerClock,
        roster: WorkerRoster,
        endings: Endings,
        withdrawing: Withdrawing,
    ) -> None:
        self._clock = clock
        self._roster = roster
        self._endings = endings
        self._withdrawing = withdrawing
        self._changed = threading.Condition()
        #: The moment of the next look at a batch, in whole seconds so that many are looked at together.
        self._looks: list[tuple[float, str]] = []
        self._batches: weakref.WeakValueDictionary[str, Ledger] = weakref.WeakValueDictionary()
        self._started = self._closed = False

    def watch(self, batch: Ledger, not_after: float) -> None:
        """Calls of a batch expire at a moment of the server's time (epoch seconds)."""
        self._batches[batch.id] = batch
        look = (math.ceil(not_after + _GRACE_S), batch.id)
        with self._changed:
            if self._looks and look == self._looks[0]:
                return
            heapq.heappush(self._looks, look)
            self._changed.notify()
            if not self._started:
                self._started = True
                threading.Thread(target=self._loop, name="nbtasks-expiry", daemon=True).start()

    def close(self) -> None:
        """Stop looking."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _loop(self) -> None:
        while True:
            due = self._next_due()
            if self._closed:
                return
            try:
                waits = self._look(due)
            except OperationalError:
                waits = due
            except Exception:
                _log.exception("expired calls could not be ended")
                waits = due
            for batch in waits:
                self.watch(batch, self._clock.now() + _AGAIN_S)

    def _next_due(self) -> list[Ledger]:
        """Sleep until batches are to be looked at."""
        with self._changed:
            while not self._closed:
                rest = self._looks[0][0] - self._clock.now() if self._looks else _MOST_SLEEP_S
                if rest <= 0:
                    break
                # Without a call that may expire nobody need wake up.
                self._changed.wait(min(rest, _MOST_SLEEP_S) if self._looks else None)
            names = set()
            while self._looks and self._looks[0][0] <= self._clock.now():
                names.add(heapq.heappop(self._looks)[1])
        found = (self._batches.get(name) for name in sorted(names))
        return [batch for batch in found if batch is not None and not batch.done]

    def _look(self, due: list[Ledger]) -> list[Ledger]:
        """End what has expired of these batches; return those with expired calls that workers have in hand."""
        if not due:
            return []
        now = self._clock.now()
        sizes: dict[str, dict[str, int]] = {}
        for batch in due:
            sizes.setdefault(batch.queue, {})[batch.id] = batch.n
        by_queue = {queue: self._roster.in_hand_of(queue, asked) for queue, asked in sizes.items()}
        waits = []
        for batch in due:
            late = _expired(batch, now - _GRACE_S / 2)
            # A server that has lost its groups knows of nobody's hands.
            in_hand = by_queue[batch.queue].get(batch.id, set()) | self._roster.running(batch)
            lost = [index for index in late if index not in in_hand]
            if lost:
                self._end(batch, lost)
            if late:
                # What was ended here, too: its batch may not have been sent yet, and then nobody has heard of it.
                waits.append(batch)
        return waits

    def _end(self, batch: Ledger, indexes: list[int]) -> None:
        locked = batch.parcel is not None and batch.parcel.options.task.is_locked
        error = TaskRevokedError.expired(rate_limit_of(batch), locked=locked)
        payload = failures.pack(error, with_traceback=False)
        self._endings.tell(
            batch.id,
            (
                Record.alike(batch.id, first, count, st.REVOKED_CODE, payload)
                for first, count in _short_runs(indexes)
            ),
        )
        self._withdrawing.withdraw(batch)


def _expired(batch: Ledger, moment: float) -> list[int]:
    """Return the calls that have not ended, of those that were not to start after a moment of the server's time."""
    states = batch.own_states
    return [
        index
        for item in (() if batch.parcel is None else list(batch.parcel.sent))
        if item.not_after is not None and item.not_after < moment
        for index in range(item.first, item.first + item.count)
        if states[index] < st.FIRST_READY_CODE
    ]


def _short_runs(indexes: list[int]) -> list[tuple[int, int]]:
    return [
        (start, min(_MOST_IN_RECORD, first + count - start))
        for first, count in runs(indexes)
        for start in range(first, first + count, _MOST_IN_RECORD)
    ]
