"""taskiq with taskiq-redis: streams, results in Redis."""

from __future__ import annotations

import asyncio
import base64
import functools
import pickle

from benchmarks import tasks

from .base import WAIT_S, setting_of_environment
from .coroutines import AsyncPeer, as_coroutine

#: Submits in flight at once, and connections for them.
BATCH = 100


class Adapter(AsyncPeer):
    name = "taskiq"
    requirements = ("taskiq", "taskiq-redis")
    packages = ("taskiq", "taskiq-redis", "redis")
    bulk = "asyncio.gather(task.kiq(x) for x in items), 100 at a time, then wait_result() of each"
    pools = ("process", "threads", "async")
    on_redis = True
    caveats = (
        "No bulk call; results are polled for, here every millisecond (its default is 0.2 s).",
        "Functions are coroutines, but for blocking calls, which run in its threads.",
        "Arguments and results must fit JSON: arrays travel as base64 of their pickle, made by the caller.",
        "Entries stay in the stream after they were acknowledged.",
    )

    def make(self):
        from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

        url = self.setting.socket_url
        backend = RedisAsyncResultBackend(url, max_connection_pool_size=BATCH, keep_results=False)
        # Group from the start of the stream: what is sent before the first worker is there is not lost.
        broker = RedisStreamBroker(url, max_connection_pool_size=BATCH, consumer_id="0")
        broker = broker.with_result_backend(backend)
        self._tasks = {}
        for function in tasks.ALL:
            blocking = function.__name__ in {"nap", "fetch"} and self.setting.pool == "threads"
            runnable = (
                function
                if blocking
                else as_coroutine(_on_text(function) if self.setting.arrays else function)
            )
            self._tasks[function.__name__] = broker.register_task(runnable, task_name=function.__name__)
        return broker

    def start(self) -> None:
        self._broker = self.make()
        self.run(self._broker.startup())
        slots = 1 if self.setting.uneven else self.setting.slots if self.setting.pool != "process" else 100
        options = ["--workers", str(self.setting.children), "--max-async-tasks", str(slots)]
        options += ["--max-threadpool-threads", str(slots), "--log-level", "WARNING"]
        if self.setting.uneven:
            options += ["--max-prefetch", "1"]
        self.spawn(command=["-m", "taskiq", "worker", f"{__name__}:make_for_worker", *options])

    async def asubmit(self, task, x):
        return await self._kick(self._tasks[task.__name__], x)

    def _kick(self, task, x):
        return task.kiq(_to_text(x) if self.setting.arrays else x)

    async def await_value(self, handle):
        result = await handle.wait_result(check_interval=0.001, timeout=WAIT_S)
        result.raise_for_error()
        return _from_text(result.return_value) if self.setting.arrays else result.return_value

    def map(self, task, items):
        return self.run(self._map(self._tasks[task.__name__], items))

    async def _map(self, task, items) -> list:
        handles = []
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            handles += await asyncio.gather(*(self._kick(task, item) for item in batch))
        return [await self.await_value(handle) for handle in handles]

    def close(self) -> None:
        self.run(self._broker.shutdown())
        super().close()


def _to_text(value) -> str:
    return base64.b64encode(pickle.dumps(value, 5)).decode()


def _from_text(text: str):
    return pickle.loads(base64.b64decode(text))


def _on_text(function):
    @functools.wraps(function)
    def run(x):
        return _to_text(function(_from_text(x)))

    return run


def make_for_worker():
    """Return the broker in a worker process; taskiq's command calls this."""
    return Adapter(setting_of_environment()).make()
