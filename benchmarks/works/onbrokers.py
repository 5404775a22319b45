"""What peers on the same broker are compared by."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import tasks

from .base import Measured, Work, check
from .maps import Loop, Map

CALLS, QUICK_CALLS = 10_000, 500
SLEEPS, SLEEP_S = 1_000, 0.01


class Fixed:
    """Seconds for a number of calls that is the same for all."""

    unit = "s"
    higher_is_better = False
    limit_s = 240.0

    def measure(self, peer, meter, quick):
        n = QUICK_CALLS if quick else CALLS
        check(list(range(n // 10)), self.run(peer, range(n // 10)))
        with meter.span() as span:
            results = self.run(peer, range(n))
        check(list(range(n)), results)
        return Measured(span.seconds * CALLS / n, n, span.cpu)


class FixedMap(Fixed, Map):
    """The library's bulk call."""

    name = "map_10000"
    title = "map of 10,000 no-ops"


class FixedLoop(Fixed, Loop):
    """One submit after the other, then all results."""

    name = "loop_10000"
    title = "loop of 10,000 single submits, then results"


class ShortSleeps(Work):
    """Calls that wait for a moment, in the threads of the workers or as coroutines."""

    name = "sleeps_10ms"
    title = "1,000 sleeps of 10 ms, 2 × 32 at once"
    unit = "s"
    higher_is_better = False
    pool = "threads"

    def suits(self, peer):
        return {"threads", "async"} & set(peer.pools)

    def setting(self, peer, **server):
        pool = "threads" if "threads" in peer.pools else "async"
        return replace(super().setting(peer, **server), pool=pool)

    def measure(self, peer, meter, quick):
        task = tasks.nap if peer.setting.pool == "threads" else tasks.anap
        items = [SLEEP_S] * (SLEEPS // 10 if quick else SLEEPS)
        check(items[:64], peer.map(task, items[:64]))
        with meter.span() as span:
            results = peer.map(task, items)
        check(items, results)
        return Measured(span.seconds * SLEEPS / len(items), len(items), span.cpu)
