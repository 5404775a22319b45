"""A pipe whose other end the supervisor has: when that is closed, a child has lost its supervisor."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys


def end_with(life_line: int) -> None:
    """Have the system kill this process's group when the pipe is closed, whatever the process does then (Linux)."""
    if sys.platform != "linux":
        return
    # Who is to be told belongs to an opening of the file, and the one that was inherited is shared by all children.
    with contextlib.suppress(OSError):
        own = os.open(f"/proc/self/fd/{life_line}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpgid(0))
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
