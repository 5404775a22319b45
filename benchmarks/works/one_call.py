from __future__ import annotations

import statistics
import time

from benchmarks import tasks

from .base import Measured, Work, check

WARM_UP = 20


class OneCall(Work):
    """One call after the other: submit, wait, have the result."""

    name = "one_call"
    title = "one call, there and back, p50"
    unit = "ms"
    higher_is_better = False
    single = True

    def measure(self, peer, meter, quick):
        for i in range(WARM_UP):
            peer.call(tasks.noop, i)
        most, patience_s = (200, 1.0) if quick else (2000, 4.0)
        times_ms, results = [], []
        with meter.span() as span:
            end = time.perf_counter() + patience_s
            while len(times_ms) < most and (begun := time.perf_counter()) < end:
                results.append(peer.call(tasks.noop, len(results)))
                times_ms.append((time.perf_counter() - begun) * 1000)
        check(list(range(len(times_ms))), results)
        times_ms.sort()
        p99 = times_ms[min(len(times_ms) - 1, int(len(times_ms) * 0.99))]
        return Measured(statistics.median(times_ms), len(times_ms), span.cpu, {"p99_ms": p99})
