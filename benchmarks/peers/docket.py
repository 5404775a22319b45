"""pydocket on Redis streams."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from benchmarks import tasks
from benchmarks.setting import COROUTINES

from .base import WAIT_S
from .coroutines import AsyncPeer, as_coroutine

#: How long a worker that has had something to do waits before it looks again.
CHECK = timedelta(milliseconds=10)


class Adapter(AsyncPeer):
    name = "docket"
    requirements = ("pydocket",)
    packages = ("pydocket", "redis")
    bulk = "docket.add_many(docket.call(f, x) for x in items), then get_result() of each"
    pools = ("process", "async")
    on_redis = True
    caveats = (
        "Coroutines only; 100 slots in each process, 1 where calls are uneven.",
        "Looks for work every 10 ms instead of 250 ms: with its defaults a process runs 40 short calls a second.",
        "Blocking calls would stop its loop, so it has no threads row.",
    )

    def make(self):
        from docket import Docket

        self._functions = {f.__name__: as_coroutine(f) for f in tasks.ALL}
        docket = Docket(name="bench", url=self.setting.socket_url)
        for function in self._functions.values():
            docket.register(function)
        return docket

    def start(self) -> None:
        self._docket = self.make()
        self.run(self._docket.__aenter__())
        self.spawn(self.setting.children)

    def serve(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        from docket import Worker

        slots = 1 if self.setting.uneven else COROUTINES
        async with (
            self.make() as docket,
            Worker(docket, concurrency=slots, minimum_check_interval=CHECK) as worker,
        ):
            await worker.run_forever()

    def _function(self, task):
        return self._functions["anap" if task is tasks.nap else task.__name__]

    async def asubmit(self, task, x):
        return await self._docket.add(self._function(task))(x)

    async def await_value(self, handle):
        return await handle.get_result(timeout=timedelta(seconds=WAIT_S))

    def map(self, task, items):
        return self.run(self._map(self._function(task), items))

    async def _map(self, function, items) -> list:
        calls = await self._docket.add_many([self._docket.call(function)(x) for x in items])
        return [await self.await_value(call) for call in calls]

    def close(self) -> None:
        self.run(self._docket.__aexit__(None, None, None))
        super().close()
