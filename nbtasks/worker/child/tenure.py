"""What is in hand and still this child's: others may have been given it, after a pause of any length."""

from __future__ import annotations

import time

from nbtasks.core.clock import steady
from nbtasks.worker.executing.interrupts import Interrupts
from nbtasks.worker.jobs.hand import ASKED, GIVEN
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.log import LOGGER
from nbtasks.worker.slots import Slot

from .brokerlines import BrokerLines
from .consumer import Consumer
from .inhand import InHand

_LEASE_POLL_S = 0.01
_HEED_POLL_S = 0.001


class Tenure:
    """Looks, before a call is started, whether it may be.

    Attributes:
        until: up to when the worker has its lease, as far as known; in the time of :func:`steady`.
    """

    def __init__(
        self,
        slot: Slot,
        in_hand: InHand,
        interrupts: Interrupts,
        consumer: Consumer,
        lines: BrokerLines,
    ) -> None:
        self._slot = slot
        self._in_hand = in_hand
        self._interrupts = interrupts
        self._consumer = consumer
        self._lines = lines
        self.until, self._lapses = 0.0, 0
        #: Serial of the call after which the supervisor was last heard.
        self._heeded = 0

    def heed_from_now(self) -> None:
        """What the supervisor says of the last call is about what was in hand then, not about what comes now."""
        self._heeded = self._slot.serial

    def keep_what_is_ours(self) -> None:
        """Start nothing without a lease: after a long pause others may have been given what is in hand."""
        if steady() < self.until:
            return
        until, lapses = self._slot.lease()
        while steady() >= until:
            if self._interrupts.stopping:
                return
            time.sleep(_LEASE_POLL_S)
            until, lapses = self._slot.lease()
        self.until = until
        if lapses == self._lapses:
            return
        self._lapses = lapses
        for job in self._lines.retrying(lambda: self._consumer.no_longer_in_hand(self._in_hand.all())):
            LOGGER.warning("batch %s: %d call(s) were given to others", job.entry.batch, job.remaining)
            job.drop()

    def may_go_on(self, job: Job, said: int) -> bool:
        """Let go of what the supervisor has given to others while this process was deaf; False when it shall stop.

        Args:
            said: what the supervisor has said about the last call.
        """
        serial = self._slot.serial
        if serial == self._heeded:
            return True
        while said == ASKED:
            if self._interrupts.stopping:
                return False
            time.sleep(_HEED_POLL_S)
            said = self._in_hand.shown.said_of(serial)
        if said == GIVEN:
            self._heeded = serial
            self._let_go(job)
        return True

    def _let_go(self, job: Job) -> None:
        """Start nothing of what was given to others; what has come into these hands since then stays."""
        waiting: list[Job] = []
        # Taken out at once: the reporter's thread may be about to give the last of them away, too.
        while self._in_hand.waiting:
            waiting.append(self._in_hand.waiting.popleft())
        gone = self._lines.retrying(lambda: self._consumer.no_longer_in_hand([job, *waiting]))
        if not job.is_untouched or job in gone:
            with job.giving:
                job.drop()
        for one in waiting:
            if one in gone:
                self._in_hand.entries.remove(one.entry)
            else:
                self._in_hand.waiting.append(one)
        self._in_hand.shown.show([job, *self._in_hand.waiting], begun=1)
