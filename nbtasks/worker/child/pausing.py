"""How a child waits between two starts: what has ended is told before, and what is revoked meanwhile is let go."""

from __future__ import annotations

import time

from nbtasks.worker.executing.interrupts import Interrupts
from nbtasks.worker.jobs.reporter import Reporter

from .inhand import InHand
from .stopping import Revocations
from .tenure import Tenure

#: Before a longer pause it is told what has ended.
_TELL_BEFORE_S = 0.005


class Pausing:
    """Of one child."""

    def __init__(
        self,
        reporter: Reporter,
        interrupts: Interrupts,
        revocations: Revocations,
        in_hand: InHand,
        tenure: Tenure,
    ) -> None:
        self._reporter = reporter
        self._interrupts = interrupts
        self._revocations = revocations
        self._in_hand = in_hand
        self._tenure = tenure

    def until(self, moment: float) -> bool:
        """Sleep until a call may start (monotonic); False where none shall any more."""
        rest_s = moment - time.monotonic()
        if rest_s > 0:
            if rest_s > _TELL_BEFORE_S:
                self._reporter.try_flush()
            time.sleep(max(0.0, moment - time.monotonic()))
            if self._revocations.due:
                self._revocations.follow(self._in_hand.all())
            self._tenure.keep_what_is_ours()
        return not self._interrupts.stopping
