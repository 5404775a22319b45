"""What every peer's adapter looks like from outside, and what most of them share."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import Any, ClassVar

from benchmarks.setting import Setting

SETTING_VARIABLE = "NBTASKS_BENCH_SETTING"
#: In the command lines of servers that are not Redis', and of what starts them.
SERVERS = ("bin/postgres", "postgres:", "beam.smp", "tests.servers", "guard.py")
#: Patience with one result. The cell has a limit of its own, which is shorter.
WAIT_S = 600


class Peer:
    """One library, driven as its own documentation advises.

    Facts about it stand in class attributes, which the report prints; ``import`` of the library waits until
    ``start()``, for the program that runs the cells does not have it.
    """

    name: ClassVar[str]
    #: The name of its environment, where it shares another peer's.
    environment: ClassVar[str] = ""
    #: For pip.
    requirements: ClassVar[tuple[str, ...]] = ()
    #: Distributions whose versions the report names.
    packages: ClassVar[tuple[str, ...]] = ()
    #: Its way of submitting many calls, for the report.
    bulk: ClassVar[str]
    #: What a reader must know to read its figures.
    caveats: ClassVar[tuple[str, ...]] = ()
    #: Kinds of slots: ``process``, ``threads``, ``async``.
    pools: ClassVar[tuple[str, ...]] = ("process",)
    #: Can submit one call and go on.
    submits: ClassVar[bool] = True
    #: Has a bulk call that takes a chunk size.
    chunks: ClassVar[bool] = False
    #: Has chains and chords.
    composes: ClassVar[bool] = False
    #: Needs a Redis server.
    on_redis: ClassVar[bool] = False
    #: Other servers that it needs, as ``python -m tests.servers`` knows them.
    servers: ClassVar[tuple[str, ...]] = ()
    #: Parts of the command lines of processes that carry messages rather than run calls.
    server_marks: ClassVar[tuple[str, ...]] = ("valkey-server", *SERVERS)

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.spawned: list[subprocess.Popen] = []

    # --- what an adapter defines

    def start(self) -> None:
        """Bring the workers up; they need not be ready yet."""
        raise NotImplementedError

    def serve(self) -> None:
        """Be a worker process, where the adapter starts them by ``spawn()``."""
        raise NotImplementedError

    def submit(self, task, x) -> Any:
        """Submit ``task(x)`` and return the library's handle."""
        raise NotImplementedError

    def wait(self, handle) -> Any:
        """Return the value of a call."""
        raise NotImplementedError

    def map(self, task, items) -> list:
        """Run ``task`` on every item with the library's bulk call and return the values in order."""
        raise NotImplementedError

    def map_chunked(self, task, items, size) -> list:
        """Do as ``map``, with so many calls in a message, where the library lets a user say so."""
        raise NotImplementedError

    def chain(self, task, x, links) -> Any:
        """Run ``task(x)``, and so many calls in all, each on the value of the one before; return the last value."""
        raise NotImplementedError

    def chord(self, task, items, body) -> Any:
        """Run ``task`` on every item, then ``body`` on the list of the values; return its value."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the workers. What does not stop is killed by the program that runs the cells."""
        for process in self.spawned:
            process.terminate()
        for process in self.spawned:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)

    def tune(self, task, items) -> None:
        """Try what a programmer would try for this one job. A library has its settings; only work by hand is tuned."""

    # --- what they share

    def call(self, task, x) -> Any:
        """Run one call: there and back."""
        return self.wait(self.submit(task, x))

    def loop(self, task, items) -> list:
        """Submit one by one, then collect."""
        handles = [self.submit(task, item) for item in items]
        return [self.wait(handle) for handle in handles]

    @property
    def processes(self) -> int:
        """Processes that run calls."""
        return self.setting.children * self.setting.workers

    @property
    def server_url(self) -> str:
        """The Redis server whose counters tell what the peer sends; empty where there is none."""
        return self.setting.socket_url if self.on_redis else ""

    @classmethod
    def role_of(cls, command: str) -> str:
        return "server" if any(mark in command for mark in cls.server_marks) else "workers"

    def spawn(self, count: int = 1, command: list[str] | None = None) -> None:
        """Start worker processes: ``serve()`` in each, or a command of the library."""
        import json

        command = command or ["-m", "benchmarks.serve", self.name]
        environment = {**os.environ, SETTING_VARIABLE: json.dumps(self.setting.to_json())}
        for _ in range(count):
            self.spawned.append(subprocess.Popen([sys.executable, *command], env=environment))


def setting_of_environment() -> Setting:
    """Return the setting that ``spawn()`` has left for its worker processes."""
    import json

    return Setting(**json.loads(os.environ[SETTING_VARIABLE]))
