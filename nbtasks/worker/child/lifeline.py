"""A pipe whose other end the supervisor has: when that is closed, a child has lost its supervisor."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import threading

from nbtasks.local.processes.proctree import kill_tree


def end_with(life_line: int) -> None:
    """End when the pipe is closed: nobody would give back what this child holds."""
    _have_the_system_watch(life_line)
    threading.Thread(target=_watch, args=(life_line,), name="nbtasks-life-line", daemon=True).start()


def _have_the_system_watch(life_line: int) -> None:
    """Have the system kill this process's group, whatever the process does then (Linux)."""
    if sys.platform != "linux":
        return
    # Who is to be told belongs to an opening of the file, and the one that was inherited is shared by all children.
    with contextlib.suppress(OSError):
        own = os.open(f"/proc/self/fd/{life_line}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpgid(0))
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)


def _watch(life_line: int) -> None:
    while True:
        try:
            if not os.read(life_line, 1):
                break
        except OSError:
            break
    # The system has done it already, where it can: while C code keeps the interpreter's lock this is too late.
    kill_tree(os.getpid())
