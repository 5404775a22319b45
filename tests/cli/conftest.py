"""The command line, run as people run it: as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def nbtasks(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``nbtasks("doctor", "-b", url)`` runs a command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nbtasks", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=project, timeout=60, check=False)

    return run


class RunningWorker:
    """``nbtasks worker`` with what it has written so far."""

    def __init__(self, folder: Path, *arguments: str, before: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbtasks", *before, "worker", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            start_new_session=True,
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.text += line

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit code once everything it wrote is in ``text``."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._reader.join(10)
        return code

    def close(self) -> None:
        """Leave nothing behind, however the test went."""
        if self.process.poll() is None:
            self.end(signal.SIGQUIT)
        self.process.stdout.close()


@pytest.fixture
def worker(project: Path, eventually) -> Iterator[Callable[..., RunningWorker]]:
    """``worker("-c", "1")`` starts ``nbtasks worker`` and returns it when it is ready.

    ``before`` are options that stand before the command; ``ready`` says whether it is, of one that does not say so.
    """
    started: list[RunningWorker] = []

    def start(
        *arguments: str, before: tuple[str, ...] = (), ready: Callable[[], object] | None = None
    ) -> RunningWorker:
        one = RunningWorker(project, *arguments, before=before)
        started.append(one)
        is_ready = ready or (lambda: " ready\n" in one.text)
        eventually(lambda: is_ready() or one.process.poll() is not None, "the worker is ready")
        assert one.process.poll() is None, one.text
        return one

    yield start
    for one in started:
        one.close()
