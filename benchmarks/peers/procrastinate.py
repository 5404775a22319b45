"""Procrastinate on PostgreSQL; for the brokers."""

from __future__ import annotations

import asyncio
import logging

from .base import setting_of_environment
from .withoutresults import LOOK_S, PeerWithoutResults

#: Jobs of a worker process that are fetched, run and noted beside each other.
CONCURRENCY = 10
_IN_WORK = "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing')) AS any"
_ENDED = "SELECT count(*) AS n FROM procrastinate_jobs WHERE status = 'succeeded'"


class Adapter(PeerWithoutResults):
    name = "procrastinate"
    requirements = ("procrastinate", "psycopg[binary]")
    packages = ("procrastinate", "psycopg")
    bulk = "task.batch_defer_async(...)"
    caveats = (
        "Keeps no results: measured until the client sees that all jobs have succeeded.",
        f"For that it asks the table every {LOOK_S * 1000:g} ms, for a single call again and again without a pause.",
        f"Tasks are coroutines; concurrency={CONCURRENCY}, and 32 for sleeps; jobs are woken by LISTEN.",
    )

    def make(self):
        from procrastinate import App, PsycopgConnector

        app = App(connector=PsycopgConnector(conninfo=self.setting.postgres_url, min_size=4, max_size=16))
        self._tasks = {name: app.task(_named(function), name=name) for name, function in self.tasks().items()}
        self._app = app
        return app

    def start(self):
        app = self.make()
        self.run(app.open_async())
        self.run(app.schema_manager.apply_schema_async())
        self.spawn(self.setting.children)
        self._known = 0

    def serve(self):
        logging.basicConfig(level=logging.WARNING)
        asyncio.run(self._serve(setting_of_environment()))

    async def _serve(self, setting):
        concurrency = 32 if setting.pool == "async" else CONCURRENCY
        async with self.make().open_async() as app:
            await app.run_worker_async(concurrency=concurrency)

    async def asubmit(self, task, x):
        self._known += 1
        return await self._tasks[task.__name__].defer_async(x=x)

    async def _call(self, task, x):
        number = await self.asubmit(task, x)
        while True:
            status = await self._app.job_manager.get_job_status_async(number)
            if status.value == "succeeded":
                return x

    async def amap(self, task, items):
        self._known += len(items)
        await self._tasks[task.__name__].batch_defer_async(*({"x": item} for item in items))
        await self._until_ended()

    async def aloop(self, task, items):
        for item in items:
            await self.asubmit(task, item)
        await self._until_ended()

    async def _until_ended(self):
        ask = self._app.connector.execute_query_one_async
        while (await ask(_IN_WORK))["any"]:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(LOOK_S)
        ended = (await ask(_ENDED))["n"]
        assert ended == self._known, f"{ended} of {self._known} jobs have succeeded"


def _named(function):
    """Return what Procrastinate runs: arguments come by their names."""

    async def run(x):
        return await function(x)

    return run
