"""Everything that a cell has started: whose CPU time it is, and that nothing of it stays.

On Linux this process adopts what a cell's processes leave behind (a daemon that has forked away, say), so its
descendants are all there is to count and to end. Elsewhere, what has forked away is not seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable

import psutil

PR_SET_CHILD_SUBREAPER = 36
#: The kernel's number for a clock that counts a whole process's time on CPUs.
CPUCLOCK_SCHED = 2
END_S = 5.0

#: Says of a process, by its command line, whether it is the peer's "server" or one of its "workers".
RoleOf = Callable[[str], str]


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cpu_by_role(client: int, role_of: RoleOf) -> dict[str, float]:
    """Return role -> CPU seconds so far of this process's descendants, and of the children that those collected."""
    used = {"client": 0.0, "workers": 0.0, "server": 0.0}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            role = "client" if process.pid == client else role_of(" ".join(process.cmdline()))
            used[role] = used.get(role, 0.0) + _cpu_s(process)
    return used


def _cpu_s(process: psutil.Process) -> float:
    """Return a process's CPU seconds, with those of the children that it has collected."""
    user, system, of_children_user, of_children_system = process.cpu_times()[:4]
    own = user + system
    if sys.platform == "linux":
        # The same in nanoseconds: /proc has steps of 10 ms, more than an idle worker uses in a second.
        with contextlib.suppress(OSError):
            own = time.clock_gettime((~process.pid << 3) | CPUCLOCK_SCHED)
    return own + of_children_user + of_children_system


def end_descendants() -> int:
    """Kill every descendant and return how many there were."""
    seen: set[int] = set()
    end = time.monotonic() + END_S
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    seen.add(process.pid)
                    process.kill()
            _collect(process.pid)
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return len(seen)


def _collect(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
