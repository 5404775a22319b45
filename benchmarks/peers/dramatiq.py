"""Dramatiq on Redis, results in Redis."""

from __future__ import annotations

import os

from benchmarks import tasks

from .base import WAIT_S, Peer, setting_of_environment

#: Its own default, for calls that may run side by side in one process.
DEFAULT_THREADS = 8


class Adapter(Peer):
    name = "dramatiq"
    requirements = ("dramatiq[redis]",)
    packages = ("dramatiq", "redis")
    bulk = "group(actor.message(x) for x in items).run().get_results(block=True)"
    pools = ("process", "threads", "async")
    composes = True
    on_redis = True
    caveats = (
        "Worker threads, 8 in each process as by default, 1 where calls are uneven; JSON, pickle for arrays.",
        "Idle workers poll, with a pause that grows: a call after a pause waits for it.",
        "The callback of a group gets no values: for the chord the client fetches them, and adds them up itself.",
    )

    def make(self) -> None:
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker
        from dramatiq.middleware import AsyncIO, GroupCallbacks
        from dramatiq.rate_limits.backends import RedisBackend as RateLimits
        from dramatiq.results import Results
        from dramatiq.results.backends import RedisBackend
        from redis import Redis

        if self.setting.arrays:
            dramatiq.set_encoder(dramatiq.PickleEncoder())
        encoder = dramatiq.get_encoder()
        broker = RedisBroker(url=self.setting.socket_url)
        # A chain takes longer than a socket waits by default.
        results = Redis.from_url(self.setting.socket_url, socket_timeout=None)
        broker.add_middleware(Results(backend=RedisBackend(client=results, encoder=encoder)))
        broker.add_middleware(GroupCallbacks(RateLimits(url=self.setting.socket_url)))
        if self.setting.pool == "async":
            broker.add_middleware(AsyncIO())
        dramatiq.set_broker(broker)
        self._actors = {
            f.__name__: dramatiq.actor(f, store_results=True, max_retries=0)
            for f in (tasks.ALL if self.setting.pool == "async" else tasks.PLAIN)
        }

    def start(self) -> None:
        self.make()
        if self.setting.uneven:
            os.environ["dramatiq_queue_prefetch"] = "1"  # noqa: SIM112 - its name
        module = f"{__name__}:make_for_worker"
        sizes = ["--processes", str(self.setting.children), "--threads", str(self._threads)]
        self.spawn(command=["-m", "dramatiq", module, *sizes])

    @property
    def _threads(self) -> int:
        if self.setting.pool == "process":
            return 1 if self.setting.uneven else DEFAULT_THREADS
        return self.setting.slots

    def submit(self, task, x):
        return self._actors[task.__name__].send(x)

    def wait(self, handle):
        return handle.get_result(block=True, timeout=WAIT_S * 1000)

    def map(self, task, items):
        from dramatiq import group

        message = self._actors[task.__name__].message
        return list(
            group([message(item) for item in items]).run().get_results(block=True, timeout=WAIT_S * 1000)
        )

    def chain(self, task, x, links):
        from dramatiq import pipeline

        message = self._actors[task.__name__].message
        whole = pipeline([message(x), *(message() for _ in range(links - 1))])
        return whole.run().get_result(block=True, timeout=WAIT_S * 1000)

    def chord(self, task, items, body):
        from dramatiq import group

        message, done = self._actors[task.__name__].message, self._actors["noop"].message(0)
        members = group([message(item) for item in items])
        members.add_completion_callback(done)
        members.run()
        done.get_result(block=True, timeout=WAIT_S * 1000)
        return body(members.get_results(block=True, timeout=WAIT_S * 1000))


def make_for_worker() -> None:
    """Make broker and actors in a worker process; Dramatiq's command calls this."""
    Adapter(setting_of_environment()).make()
