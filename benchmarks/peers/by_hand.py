"""What a good programmer writes for this one job with asyncio alone: the reference for waiting calls."""

from __future__ import annotations

import asyncio

from .coroutines import AsyncPeer


class Adapter(AsyncPeer):
    name = "by_hand"
    bulk = "asyncio.gather(f(x) for x in items), as many at once as two workers have slots"
    pools = ("async",)
    submits = False
    caveats = ("No task queue: one process, one event loop, no results but in memory.",)

    def start(self) -> None:
        self._slots = asyncio.Semaphore(self.setting.children * self.setting.slots)

    @property
    def processes(self) -> int:
        return 1

    def map(self, task, items):
        return self.run(self._map(task, items))

    async def _map(self, task, items) -> list:
        return await asyncio.gather(*(self._one(task, item) for item in items))

    async def _one(self, task, item):
        async with self._slots:
            value = task(item)
            return await value if hasattr(value, "__await__") else value
