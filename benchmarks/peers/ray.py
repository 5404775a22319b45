"""Ray on this machine, values through its shared memory."""

from __future__ import annotations

import os

from benchmarks import tasks

from .base import WAIT_S, Peer


class Adapter(Peer):
    name = "ray"
    requirements = ("ray",)
    packages = ("ray",)
    bulk = "ray.get([f.remote(x) for x in items])"
    pools = ("process", "threads", "async")
    caveats = (
        "Threads and async tasks are those of two actors (max_concurrency), between which calls alternate.",
        "Its raylet, control store and agents are counted as server.",
    )

    def start(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")
        import ray

        self._ray = ray
        ray.init(
            num_cpus=self.setting.children,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=self.setting.folder,
        )
        self._turn = 0
        self._remote = self._actor_calls() if self.setting.pool != "process" else self._task_calls()

    def _task_calls(self):
        remotes = {f.__name__: self._ray.remote(f) for f in tasks.PLAIN}
        return lambda task, x: remotes[task.__name__].remote(x)

    def _actor_calls(self):
        kind = self._ray.remote(AsyncRunner if self.setting.pool == "async" else Runner)
        options = {"max_concurrency": self.setting.slots, "num_cpus": 1}
        actors = [kind.options(**options).remote() for _ in range(self.setting.children)]

        def call(task, x):
            self._turn += 1
            return actors[self._turn % len(actors)].run.remote(task, x)

        return call

    @classmethod
    def role_of(cls, command: str) -> str:
        return "workers" if command.startswith("ray::") else "server"

    def submit(self, task, x):
        return self._remote(task, x)

    def wait(self, handle):
        return self._ray.get(handle, timeout=WAIT_S)

    def loop(self, task, items):
        return self.wait([self.submit(task, item) for item in items])

    def map(self, task, items):
        return self.wait([self.submit(task, item) for item in items])

    def close(self) -> None:
        self._ray.shutdown()


class Runner:
    """An actor with threads."""

    def run(self, task, x):
        return task(x)


class AsyncRunner:
    """An actor with an event loop."""

    async def run(self, task, x):
        value = task(x)
        return await value if hasattr(value, "__await__") else value
