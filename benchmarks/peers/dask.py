"""Dask's distributed scheduler on this machine."""

from __future__ import annotations

from .base import WAIT_S, Peer


class Adapter(Peer):
    name = "dask"
    requirements = ("distributed",)
    packages = ("dask", "distributed")
    bulk = "client.gather(client.map(f, items, pure=False))"
    pools = ("process", "threads", "async")
    caveats = (
        "The scheduler runs in the client's process, as LocalCluster has it: its CPU is in the client's.",
    )

    def start(self) -> None:
        from distributed import Client, LocalCluster

        self._cluster = LocalCluster(
            n_workers=self.setting.children,
            threads_per_worker=self.setting.slots,
            processes=True,
            dashboard_address=None,
            local_directory=self.setting.folder,
        )
        self._client = Client(self._cluster)

    def submit(self, task, x):
        return self._client.submit(task, x, pure=False)

    def wait(self, handle):
        return handle.result(timeout=WAIT_S)

    def loop(self, task, items):
        return self._client.gather([self.submit(task, item) for item in items])

    def map(self, task, items):
        return self._client.gather(self._client.map(task, items, pure=False))

    def close(self) -> None:
        self._client.close()
        self._cluster.close()
