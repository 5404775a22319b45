"""The standard library's executors: a local reference, without a broker."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from .base import WAIT_S, Peer


class Adapter(Peer):
    name = "pool"
    bulk = "executor.map(f, items)"
    pools = ("process", "threads")
    chunks = True
    caveats = (
        "ProcessPoolExecutor with the platform's start method; ThreadPoolExecutor for threads.",
        "A local reference: this machine only, nothing survives it, one dead process breaks it.",
    )

    def start(self) -> None:
        slots = self.setting.children * self.setting.slots
        kind = ThreadPoolExecutor if self.setting.pool == "threads" else ProcessPoolExecutor
        self._pool = kind(max_workers=slots)

    @property
    def processes(self) -> int:
        return 1 if self.setting.pool == "threads" else self.setting.children

    def submit(self, task, x):
        return self._pool.submit(task, x)

    def wait(self, handle):
        return handle.result(WAIT_S)

    def map(self, task, items):
        return list(self._pool.map(task, items))

    def map_chunked(self, task, items, size):
        return list(self._pool.map(task, items, chunksize=size))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
