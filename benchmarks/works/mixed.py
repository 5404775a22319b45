from __future__ import annotations

import heapq
import random

from benchmarks import tasks

from .base import Measured, Work, check

SEED = 7


class Mixed(Work):
    """Calls of 1 ms and of seconds in one map, against what one call per free slot, in submit order, takes."""

    name = "mixed"
    title = "map of 1 ms and long calls, against one call per free slot in submit order"
    unit = "× greedy"
    higher_is_better = False
    uneven = True

    def suits(self, peer):
        return super().suits(peer) and not peer.name.startswith("by_")

    def measure(self, peer, meter, quick):
        durations = make(quick)
        greedy = greedy_s(durations, self.children)
        with meter.span() as span:
            results = peer.map(tasks.nap, durations)
        check(durations, results)
        return Measured(
            span.seconds / greedy, len(durations), span.cpu, {"seconds": span.seconds, "greedy_s": greedy}
        )


def make(quick):
    """Return the durations in seconds, shuffled the same way each time."""
    durations = [0.001] * 100 + [0.5] * 3 if quick else [0.001] * 500 + [1.0] * 4 + [3.0] * 2
    random.Random(SEED).shuffle(durations)
    return durations


def greedy_s(durations, slots):
    """Return the seconds that it takes when each free slot takes the next call."""
    free_at = [0.0] * slots
    for duration in durations:
        heapq.heappush(free_at, heapq.heappop(free_at) + duration)
    return max(free_at)
