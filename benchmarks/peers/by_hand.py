"""What a good programmer writes for this one job with asyncio alone: the reference for waiting calls."""

from __future__ import annotations

import asyncio
import time

from benchmarks import tasks

from .coroutines import AsyncPeer

#: How many at once are tried; the best is measured. httpx slows down with many connections in its pool.
AT_ONCE = (25, 50, 100, 200)


class Adapter(AsyncPeer):
    name = "by_hand"
    bulk = "asyncio.gather(f(x) for x in items), with a semaphore"
    pools = ("async",)
    submits = False
    caveats = (
        "No task queue: one process, one event loop, results in memory.",
        "Of 25, 50, 100 and 200 at once the best is measured.",
    )

    def start(self) -> None:
        self._at_once = AT_ONCE[-1]

    @property
    def processes(self) -> int:
        return 1

    def tune(self, task, items):
        seconds = {at_once: self._try(task, items, at_once) for at_once in AT_ONCE}
        self._try(task, items, min(seconds, key=seconds.get))

    def _try(self, task, items, at_once) -> float:
        """Return the seconds that it takes with so many at once, and with a client that had no more before."""
        self._at_once = at_once
        tasks.forget_clients()
        begun = time.perf_counter()
        self.map(task, items)
        return time.perf_counter() - begun

    def map(self, task, items):
        return self.run(self._map(task, items))

    async def _map(self, task, items) -> list:
        slots = asyncio.Semaphore(self._at_once)

        async def one(item):
            async with slots:
                return await task(item)

        return await asyncio.gather(*map(one, items))
