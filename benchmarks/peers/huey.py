"""Huey on Redis."""

from __future__ import annotations

from benchmarks import tasks

from .base import WAIT_S, Peer


class Adapter(Peer):
    name = "huey"
    requirements = ("huey", "redis")
    packages = ("huey", "redis")
    bulk = "task.map(items).get(blocking=True)"
    pools = ("process", "threads")
    on_redis = True
    caveats = (
        "Takes a call off the list before it runs it: a killed worker loses it.",
        "Results are told by a list (notify_result=True), not polled for.",
        "All its threads are in one process: 64 there, where others have 2 times 32.",
    )

    def make(self):
        from huey import RedisHuey

        huey = RedisHuey("bench", url=self.setting.socket_url, notify_result=True)
        self._tasks = {f.__name__: huey.task(name=f.__name__)(f) for f in tasks.PLAIN}
        return huey

    def start(self) -> None:
        self.make()
        self.spawn()

    @property
    def processes(self) -> int:
        return 1 if self.setting.pool == "threads" else self.setting.children

    def serve(self) -> None:
        kind = "thread" if self.setting.pool == "threads" else "process"
        slots = self.setting.children * self.setting.slots
        self.make().create_consumer(workers=slots, worker_type=kind, periodic=False).run()

    def submit(self, task, x):
        return self._tasks[task.__name__](x)

    def wait(self, handle):
        return handle.get(blocking=True, timeout=WAIT_S)

    def map(self, task, items):
        group = self._tasks[task.__name__].map([(item,) for item in items])
        return group.get(blocking=True, timeout=WAIT_S)
