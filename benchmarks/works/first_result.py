from __future__ import annotations

from benchmarks import tasks

from .base import Measured, Work, check


class FirstResult(Work):
    """From the start of an interpreter to the first result: imports, workers, one call."""

    name = "first_result"
    title = "interpreter to first result"
    unit = "s"
    higher_is_better = False
    warm = False

    def measure(self, peer, meter, quick):
        check([1], [peer.call(tasks.noop, 1)])
        return Measured(meter.since_start(), 1)
