"""ipyparallel: engines behind a controller, load-balanced view."""

from __future__ import annotations

import os

from .base import WAIT_S, Peer


class Adapter(Peer):
    name = "ipyparallel"
    requirements = ("ipyparallel",)
    packages = ("ipyparallel", "pyzmq")
    bulk = "view.map_async(f, items).get()"
    chunks = True
    server_marks = ("ipyparallel.controller", "ipcontroller")
    caveats = (
        "TaskScheduler.hwm=0 (no limit at an engine) for short calls, 1 for uneven ones, as documented.",
        "Engines have one slot: no threads, no async tasks.",
    )

    def start(self) -> None:
        os.environ["IPYTHONDIR"] = self.setting.folder
        import ipyparallel

        hwm = 1 if self.setting.uneven else 0
        self._cluster = ipyparallel.Cluster(
            n=self.setting.children, controller_args=[f"--TaskScheduler.hwm={hwm}"], log_level=40
        )
        self._client = self._cluster.start_and_connect_sync(activate=False)
        self._view = self._client.load_balanced_view()

    def submit(self, task, x):
        return self._view.apply_async(task, x)

    def wait(self, handle):
        return handle.get(WAIT_S)

    def map(self, task, items):
        return list(self._view.map_async(task, items, chunksize=1).get(WAIT_S))

    def map_chunked(self, task, items, size):
        return list(self._view.map_async(task, items, chunksize=size).get(WAIT_S))

    def close(self) -> None:
        self._client.close()
        self._cluster.stop_cluster_sync()
