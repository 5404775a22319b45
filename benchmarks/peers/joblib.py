"""joblib with its default processes (loky): a local reference, without a broker."""

from __future__ import annotations

from .base import Peer


class Adapter(Peer):
    name = "joblib"
    requirements = ("joblib",)
    packages = ("joblib",)
    bulk = "Parallel(n_jobs=2)(delayed(f)(x) for x in items)"
    pools = ("process", "threads")
    submits = False
    chunks = True
    caveats = (
        "A local reference: this machine only, nothing survives it. It sizes its batches by itself.",
        "One call is a Parallel() of one call, for there is no way to submit one and go on.",
        "Arrays over 1 MB reach its processes as memory maps, read-only.",
    )

    def start(self) -> None:
        from joblib import Parallel, delayed

        self._delayed = delayed
        backend = "threading" if self.setting.pool == "threads" else "loky"
        slots = self.setting.children * self.setting.slots
        self._make = lambda size: Parallel(n_jobs=slots, backend=backend, batch_size=size)
        self._parallel = self._make("auto").__enter__()

    @property
    def processes(self) -> int:
        return 1 if self.setting.pool == "threads" else self.setting.children

    def call(self, task, x):
        return self._parallel([self._delayed(task)(x)])[0]

    def map(self, task, items):
        return self._parallel(self._delayed(task)(item) for item in items)

    def map_chunked(self, task, items, size):
        with self._make(size) as parallel:
            return parallel(self._delayed(task)(item) for item in items)

    def close(self) -> None:
        self._parallel.__exit__(None, None, None)
        if self.setting.pool == "process":
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True, kill_workers=True)
