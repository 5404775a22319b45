"""Has files written to the disk itself soon after they were written: a power failure costs the last second at most."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque

#: The embedded server syncs its own data every second; what they refer to is there before, or about.
_EVERY_S = 0.5
#: Files that wait for that at most.
_MOST = 256


class Sync:
    """Syncs files in a thread, which is started when there is the first one."""

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def soon(self, fd: int) -> None:
        """Sync a file that is open here, within the second; its descriptor may be closed before."""
        try:
            own = os.dup(fd)
        except OSError:
            # Too many files are open.
            os.fsync(fd)
            return
        with self._changed:
            self._waiting.append(own)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="nbtasks-sync", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            # Where the disk is slower than who writes, it is waited for.
            self._changed.wait_for(lambda: len(self._waiting) < _MOST)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                # What is removed soon needs no disk at all.
                self._changed.wait_for(lambda: len(self._waiting) >= _MOST, _EVERY_S)
            for _ in range(len(self._waiting)):
                _sync(self._waiting[0])
                with self._changed:
                    self._waiting.popleft()
                    self._changed.notify_all()


def _sync(fd: int) -> None:
    # Where the disk refuses, the value is as safe as it can be.
    with contextlib.suppress(OSError):
        if os.fstat(fd).st_nlink:
            os.fsync(fd)
    os.close(fd)
