"""Processes that stand in for notebook kernels: they hold a lease and do what they are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbtasks.local.server import embedded
from nbtasks.local.server.embeddedlease import EmbeddedLease

KERNEL = """
import os, signal, sys, time
from nbtasks.local.server import embedded

lease = None
for line in sys.stdin:
    try:
        print(eval(line), flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    except SyntaxError:
        exec(line)
        print("done", flush=True)
"""


class Kernel:
    """A Python process in a session of its own, as Jupyter starts them."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", KERNEL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            start_new_session=True,
        )

    def begin(self, line: str) -> None:
        """Have a line run, without waiting."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """What the line gave that was begun last."""
        return self.process.stdout.readline().strip()

    def run(self, line: str) -> str:
        """Run a line; return its value as text."""
        self.begin(line)
        return self.answer()

    def acquire(self) -> int:
        """Take a lease; return the keeper's pid."""
        self.run("lease = embedded.acquire()")
        return int(self.run("lease.pid"))

    def interrupt(self) -> None:
        """Press the Stop button: SIGINT to the kernel's whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill the kernel, and only it."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        """Let the kernel end by itself."""
        self.process.stdin.close()
        assert self.process.wait(20) == 0


@pytest.fixture
def lease(project: Path) -> Iterator[EmbeddedLease]:
    """A lease of this process on the project's server, which listens nowhere; given back at the end."""
    held = embedded.acquire()
    yield held
    held.close()


@pytest.fixture
def kernel(project: Path) -> Iterator[Callable[[], Kernel]]:
    """``kernel()`` starts one more kernel in the test's project folder."""
    started: list[Kernel] = []

    def start() -> Kernel:
        started.append(Kernel(project))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.process.stdin.close()
        one.process.stdout.close()
