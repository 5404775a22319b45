"""Scripts that stand in for notebook kernels: processes that submit, and can be killed or interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

KERNEL = """
import os, sys, time
import nbtasks
space = {"__name__": "__main__", "nbtasks": nbtasks}
for line in sys.stdin:
    try:
        try:
            print(repr(eval(line, space)), flush=True)
        except SyntaxError:
            exec(eval(line.removeprefix("!")), space)
            print("done", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
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
        """Send an expression without waiting for its value."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """What was sent last has given."""
        return self.process.stdout.readline().strip()

    def value(self, line: str) -> str:
        """Evaluate an expression; return its repr."""
        self.begin(line)
        return self.answer()

    def cell(self, source: str) -> None:
        """Run statements."""
        self.begin("!" + repr(source))
        assert self.answer() == "done"

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
        assert self.process.wait(30) == 0


@pytest.fixture
def kernel(project: Path) -> Iterator[Callable[[], Kernel]]:
    """``kernel()`` starts a kernel in the test's project folder."""
    started: list[Kernel] = []

    def start() -> Kernel:
        started.append(Kernel(project))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
        one.process.stdin.close()
        one.process.stdout.close()


@pytest.fixture
def worker(idle_app: Any, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """``worker()`` starts one with one child and a lease of a second, as another machine would; nobody restarts it."""
    started: list[subprocess.Popen[bytes]] = []
    file = tmp_path / "connection.json"
    idle_app.write_connection_file(file)

    def start() -> subprocess.Popen[bytes]:
        command = ["worker", "--connection-file", str(file), "-c", "1", "--lease", "1s"]
        started.append(subprocess.Popen([sys.executable, "-m", "nbtasks", *command], start_new_session=True))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            one.send_signal(signal.SIGQUIT)
        one.wait()


@pytest.fixture
def children() -> Callable[[int], list[int]]:
    """``children(supervisor_pid)`` returns the pids of its child processes (the forkserver's children)."""

    def find(supervisor: int) -> list[int]:
        return [child for server in children_of(supervisor) for child in children_of(server)]

    return find


def children_of(pid: int) -> list[int]:
    """Pids of the direct children of a process."""
    found: list[int] = []
    for entry in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, entry.read_text().split())
        except OSError:
            continue
    return found
