"""PgQueuer on PostgreSQL; for the brokers."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from .base import setting_of_environment
from .withoutresults import LOOK_S, PeerWithoutResults

#: Jobs that a worker fetches at once, and notes at once that they have ended: many jobs, single ones, sleeps.
BATCH, BATCH_SINGLE, BATCH_SLEEPS = 100, 1, 16
_ENDED = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"


class Adapter(PeerWithoutResults):
    name = "pgqueuer"
    requirements = ("pgqueuer", "asyncpg", "uvloop")
    packages = ("pgqueuer", "asyncpg", "uvloop")
    bulk = "queries.enqueue([name] * n, payloads, [0] * n)"
    caveats = (
        "Keeps no results: measured until the client sees that all jobs have been successful.",
        f"For that it asks the table every {LOOK_S * 1000:g} ms, for a single call its CompletionWatcher with 1 ms.",
        "asyncpg and uvloop; tasks are coroutines; its tables are logged (durability: durable).",
        f"batch_size={BATCH}, for sleeps {BATCH_SLEEPS} with 32 at once.",
        f"For single calls batch_size={BATCH_SINGLE}: else their end is noted 0.1 s later.",
    )

    def start(self):
        self._known = 0
        self.run(self._connect())
        self.spawn(self.setting.children)

    async def _connect(self):
        import asyncpg
        from pgqueuer.core.completion import CompletionWatcher
        from pgqueuer.db import AsyncpgDriver
        from pgqueuer.queries import Queries

        self._connection = await asyncpg.connect(self.setting.postgres_url)
        self._queries = Queries(AsyncpgDriver(self._connection))
        await self._queries.install()
        driver = AsyncpgDriver(await asyncpg.connect(self.setting.postgres_url))
        self._watcher = CompletionWatcher(driver, queries=Queries(driver), debounce=timedelta(milliseconds=1))
        await self._watcher.__aenter__()

    def serve(self):
        import uvloop

        uvloop.run(self._serve(setting_of_environment()))

    async def _serve(self, setting):
        import asyncpg
        from pgqueuer import PgQueuer

        queuer = PgQueuer.from_asyncpg_connection(await asyncpg.connect(setting.postgres_url))
        for name, function in self.tasks().items():
            queuer.entrypoint(name)(_opened(function))
        sleeps = setting.pool == "async"
        size = BATCH_SLEEPS if sleeps else BATCH_SINGLE if setting.single else BATCH
        await queuer.run(batch_size=size, max_concurrent_tasks=32 if sleeps else None)

    async def asubmit(self, task, x):
        self._known += 1
        return (await self._queries.enqueue(task.__name__, json.dumps(x).encode()))[0]

    async def _call(self, task, x):
        status = await self._watcher.wait_for(await self.asubmit(task, x))
        assert status == "successful", status
        return x

    async def amap(self, task, items):
        self._known += len(items)
        payloads = [json.dumps(item).encode() for item in items]
        await self._queries.enqueue([task.__name__] * len(items), payloads, [0] * len(items))
        await self._until_ended()

    async def aloop(self, task, items):
        for item in items:
            await self.asubmit(task, item)
        await self._until_ended()

    async def _until_ended(self):
        ask = self._connection.fetchval
        # A job that has ended is not in this table any more.
        while await ask("SELECT EXISTS (SELECT FROM pgqueuer)"):  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(LOOK_S)
        ended = await ask(_ENDED)
        assert ended == self._known, f"{ended} of {self._known} jobs have been successful"


def _opened(function):
    """Return what PgQueuer runs: jobs bring bytes."""

    async def run(job):
        await function(json.loads(job.payload))

    return run
