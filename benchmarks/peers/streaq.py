"""streaQ on Redis streams."""

from __future__ import annotations

import asyncio

from benchmarks import tasks

from .base import WAIT_S
from .coroutines import AsyncPeer, as_coroutine

#: Results awaited at once: each holds a connection and needs a second one, of which there are CONNECTIONS.
BATCH = 200
CONNECTIONS = 512


class Adapter(AsyncPeer):
    name = "streaq"
    requirements = ("streaq",)
    packages = ("streaq", "coredis")
    bulk = "worker.enqueue_many([task.enqueue(x) for x in items]), then result() of each, 200 at a time"
    pools = ("process", "threads", "async")
    on_redis = True
    caveats = (
        "result() takes 0.1 s, for its client then waits for the end of a subscription; hence 200 at a time.",
        "Functions are coroutines, but for blocking calls, which run in its threads.",
        "Its own slots: 16 in each process, 1 where calls are uneven.",
    )

    def make(self):
        from streaq import Worker

        slots = self.setting.slots if self.setting.pool != "process" else 1 if self.setting.uneven else 16
        self._worker = Worker(
            redis_url=self.setting.tcp_url,
            redis_kwargs={"max_connections": CONNECTIONS},
            concurrency=slots,
            sync_concurrency=slots,
            prefetch=1 if self.setting.uneven else None,
            # The context manager that keeps the client's connection would take over its signals.
            handle_signals=False,
        )
        self._tasks = {}
        for function in tasks.ALL:
            blocking = function.__name__ in {"nap", "fetch"} and self.setting.pool == "threads"
            runnable = function if blocking else as_coroutine(function)
            self._tasks[function.__name__] = self._worker.task(name=function.__name__)(runnable)
        return self._worker

    def start(self) -> None:
        self.make()
        self._stop = asyncio.Event()
        ready = asyncio.Event()
        # It must be left in the task that has entered it.
        self._session = self._loop.create_task(self._hold(ready))
        self.run(ready.wait())
        self.spawn(self.setting.children)

    async def _hold(self, ready) -> None:
        async with self._worker:
            ready.set()
            await self._stop.wait()

    def serve(self) -> None:
        self.make().run_sync()

    async def asubmit(self, task, x):
        return await self._tasks[task.__name__].enqueue(x)

    async def await_value(self, handle):
        return (await handle.result(WAIT_S)).result

    def map(self, task, items):
        return self.run(self._map(self._tasks[task.__name__], items))

    async def _map(self, task, items) -> list:
        calls = [task.enqueue(item) for item in items]
        await self._worker.enqueue_many(calls)
        return await self._values(calls)

    async def _one_by_one(self, task, items) -> list:
        return await self._values([await self.asubmit(task, item) for item in items])

    async def _values(self, calls) -> list:
        values = []
        for start in range(0, len(calls), BATCH):
            values += await asyncio.gather(*(self.await_value(call) for call in calls[start : start + BATCH]))
        return values

    def close(self) -> None:
        self._stop.set()
        self.run(self._session)
        super().close()
