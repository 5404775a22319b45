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
    composes = True
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
        self._huey = huey
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

    def chain(self, task, x, links):
        run = self._tasks[task.__name__]
        whole = run.s(x)
        for _ in range(links - 1):
            whole.then(run)
        *_, last = self._huey.enqueue(whole)
        return last.get(blocking=True, timeout=WAIT_S)

    def chord(self, task, items, body):
        from huey.api import chord

        members = [self._tasks[task.__name__].s(item) for item in items]
        whole = chord(members, self._tasks[body.__name__].s())
        return self._huey.enqueue(whole).get(blocking=True, timeout=WAIT_S)
