"""Signals of a worker and its processes. What concerns the worker as a whole is sent in its first child.

The supervisor runs code of the user's before it forks children, never while it looks after them.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator

from nbtasks.core import signal
from nbtasks.core.workeroptions import WorkerOptions

#: The child that speaks for its worker.
_FIRST = 0


class WorkerSignals:
    """One for all processes of a worker, made before children are forked.

    Args:
        name: the worker's, the sender.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        #: Whether it was said that it is ready: a child that takes the place of a dead one says nothing. And whether
        #: the worker ends: else a child that is told to end is replaced, or there are too many.
        self._said = mmap.mmap(-1, 2)

    def before_children(self, options: WorkerOptions) -> None:
        """Children are about to be forked: what is loaded now they all share."""
        how = options.to_json()
        signal.celeryd_init.send(self._name, instance=None, conf=how, options=how)
        signal.worker_init.send(self._name)
        signal.celeryd_after_setup.send(self._name, instance=None, conf=how)
        if options.beat:
            signal.beat_init.send(self._name)
            signal.beat_embedded_init.send(self._name)

    def worker_ends(self) -> None:
        """All children are about to be told to end."""
        self._said[1] = 1

    def process_begins(self) -> None:
        """A child has been forked."""
        signal.worker_process_init.send()

    def ready(self, number: int) -> None:
        """A child is about to take calls."""
        if number == _FIRST and not self._said[0]:
            self._said[0] = 1
            signal.worker_ready.send(self._name)

    @contextlib.contextmanager
    def process_ends(self, number: int, stopping: bool) -> Iterator[None]:
        """A child ends by itself, in the course of this.

        Args:
            stopping: it was told to; else it has done its share.
        """
        speaks = stopping and self._said[1] and number == _FIRST
        if speaks:
            signal.worker_shutting_down.send(self._name, sig="SIGTERM", how="Warm", exitcode=0)
        yield
        signal.worker_process_shutdown.send(pid=os.getpid(), exitcode=0)
        if speaks:
            signal.worker_shutdown.send(self._name)
