"""The signals by which a worker is told to stop."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class StopSignals:
    """Hears them from its making on, in the main thread; collects them until somebody looks, and wakes a ``select``."""

    def __init__(self) -> None:
        self._heard: list[int] = []
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        for number in _STOP:
            signal.signal(number, lambda got, _: self._heard.append(got))
        # What the starter, or a module that was imported, has blocked would never be heard here.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.set_wakeup_fd(self._wake_write)

    def release(self) -> None:
        """Wake nobody any more."""
        signal.set_wakeup_fd(-1)

    def fileno(self) -> int:
        """File descriptor that is readable when one has come."""
        return self._wake_read

    def wake(self) -> None:
        """Wake who waits, from any thread: there is something else to do."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def drain(self) -> None:
        """Make it readable only by the next one."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 1024)

    def __bool__(self) -> bool:
        return bool(self._heard)

    def take(self) -> Iterator[int]:
        """Yield those that have come, each once."""
        while self._heard:
            yield self._heard.pop(0)

    def comes_within(self, pause_s: float, life_line: int | None) -> bool:
        """Wait for one, or for the end of the parent; returns whether one of them came in so many seconds."""
        watched = [] if life_line is None else [life_line]
        return bool(select.select(watched, [], [], pause_s)[0]) or bool(self)
