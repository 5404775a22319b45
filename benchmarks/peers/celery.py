"""Celery on Redis, results in Redis."""

from __future__ import annotations

import os

from benchmarks import tasks

from .base import WAIT_S, Peer

#: How often a group looks whether its results are there; Celery's default of 0.5 s would be most of a figure.
POLL_S = 0.005


class Adapter(Peer):
    name = "celery"
    requirements = ("celery[redis]",)
    packages = ("celery", "kombu", "redis")
    bulk = "group(task.s(x) for x in items)().get(interval=0.005)"
    pools = ("process", "threads")
    chunks = True
    composes = True
    on_redis = True
    caveats = (
        "JSON for numbers and texts, pickle for arrays; base64 inside the message is kombu's.",
        "Prefetch multiplier 128 for short calls, 1 for uneven ones, as its documentation advises.",
        "Gossip, mingle and heartbeat are off.",
        "Chunked is task.chunks(): one result for each chunk, not for each call.",
        "No async tasks; its async row is empty.",
    )

    @property
    def urls(self) -> tuple[str, str]:
        """Of its broker, and of what keeps results."""
        url = f"redis+socket://{self.setting.socket_url.removeprefix('unix://')}"
        return url, url

    def make(self):
        from celery import Celery

        broker, backend = self.urls
        app = Celery("bench", broker=broker, backend=backend)
        kind = "pickle" if self.setting.arrays else "json"
        app.conf.update(
            task_serializer=kind,
            result_serializer=kind,
            accept_content=[kind],
            worker_prefetch_multiplier=1 if self.setting.uneven else 128,
            broker_connection_retry_on_startup=True,
        )
        self._tasks = {f.__name__: app.task(f, name=f.__name__) for f in tasks.PLAIN}
        return app

    def start(self) -> None:
        # It refuses pickle for root, as in a container; server and messages are this cell's own.
        os.environ["C_FORCE_ROOT"] = "1"
        self.make()
        self.spawn(self._workers)

    @property
    def _workers(self) -> int:
        # One worker has all the processes of the prefork pool; threads live in one process each.
        return self.setting.children if self.setting.pool == "threads" else 1

    def serve(self) -> None:
        pool = "threads" if self.setting.pool == "threads" else "prefork"
        slots = self.setting.slots if pool == "threads" else self.setting.children
        options = ["--pool", pool, "--concurrency", str(slots), "-n", f"w{os.getpid()}@bench"]
        self.make().worker_main(["worker", *options, "--loglevel", "WARNING", *self.options()])

    def options(self) -> list[str]:
        """Return what keeps a worker from talking with the others."""
        return ["--without-gossip", "--without-mingle", "--without-heartbeat"]

    def submit(self, task, x):
        return self._tasks[task.__name__].delay(x)

    def wait(self, handle):
        return handle.get(timeout=WAIT_S)

    def map(self, task, items):
        from celery import group

        signature = self._tasks[task.__name__].s
        return group(signature(item) for item in items)().get(timeout=WAIT_S, interval=POLL_S)

    def chain(self, task, x, links):
        from celery import chain

        signature = self._tasks[task.__name__].s
        whole = chain(signature(x), *(signature() for _ in range(links - 1)))
        return whole.delay().get(timeout=WAIT_S, interval=POLL_S)

    def chord(self, task, items, body):
        from celery import chord

        members = [self._tasks[task.__name__].s(item) for item in items]
        return chord(members)(self._tasks[body.__name__].s()).get(timeout=WAIT_S, interval=POLL_S)

    def map_chunked(self, task, items, size):
        chunks = self._tasks[task.__name__].chunks([(item,) for item in items], size)
        return [value for values in chunks().get(timeout=WAIT_S, interval=POLL_S) for value in values]
