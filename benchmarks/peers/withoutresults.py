"""What peers share that keep no results: a client can only know that a call has ended."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import tasks

from .coroutines import AsyncPeer, as_coroutine

#: Seconds between two looks whether all has ended.
LOOK_S = 0.005


class PeerWithoutResults(AsyncPeer):
    """Measured until its client knows that all calls have ended well; what they return is lost."""

    pools = ("process", "async")
    servers = ("postgresql",)

    def tasks(self):
        """Return name -> coroutine function."""
        found = {function.__name__: as_coroutine(function) for function in tasks.ALL}
        found["whoami"] = self._whoami
        return found

    async def _whoami(self, x):
        tasks.whoami(x)
        self._seen.mkdir(exist_ok=True)
        (self._seen / str(os.getpid())).touch()

    @property
    def _seen(self) -> Path:
        return Path(self.setting.folder) / "seen"

    def map(self, task, items):
        items = list(items)
        self.run(self.amap(task, items))
        if task is tasks.whoami:
            return [int(path.name) for path in self._seen.iterdir()]
        return items

    def loop(self, task, items):
        items = list(items)
        self.run(self.aloop(task, items))
        return items

    async def amap(self, task, items) -> None:
        """Submit with the bulk call, and return when all have ended."""
        raise NotImplementedError

    async def aloop(self, task, items) -> None:
        """Submit one by one, and return when all have ended."""
        raise NotImplementedError
