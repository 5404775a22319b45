"""What a good programmer writes for this one job with asyncio alone: the reference for waiting calls."""

from __future__ import annotations

import asyncio
import time

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
        seconds = {}
        for self._at_once in AT_ONCE:
            begun = time.perf_counter()
            self.map(task, items)
            seconds[self._at_once] = time.perf_counter() - begun
        self._at_once = min(seconds, key=seconds.get)

    def map(self, task, items):
        return self.run(self._map(task, items))

    async def _map(self, task, items) -> list:
        slots = asyncio.Semaphore(self._at_once)

        async def one(item):
            async with slots:
                return await task(item)

        return await asyncio.gather(*map(one, items))
