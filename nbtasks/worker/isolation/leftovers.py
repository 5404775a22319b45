"""Processes that a call has started end with it when it is stopped; those of earlier calls do not (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from time import monotonic

from nbtasks.local.processes.proctree import Process, belongings, children_of_thread, processes, send


def end_leftovers(began: float, whole: bool) -> bool:
    """End what the call that runs in this thread has started; returns whether there was anything.

    Args:
        began: when the call did (monotonic).
        whole: nobody else runs calls in this process: what other threads have started is this call's, too.
    """
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return False
    since = boot_ticks(began)
    victims: dict[int, Process] = {}
    while more := {
        pid: process
        for pid, process in _candidates(whole).items()
        if process.started >= since and process.state != "Z" and pid not in victims
    }:
        for pid in more:
            # What stands still starts nothing more.
            send(pid, signal.SIGSTOP)
        victims |= more
    for pid in victims:
        send(pid, signal.SIGKILL)
    for pid, process in victims.items():
        if process.parent == os.getpid():
            # Its object may be gone, and nobody would wait for it.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return bool(victims)


def boot_ticks(at: float) -> int:
    """Return a moment (monotonic) as the system notes the starts of processes; Linux only.

    A process that was started in the same tick before is not worth the risk to leave one of a stopped call.
    """
    since_s = time.clock_gettime(time.CLOCK_BOOTTIME) - (monotonic() - at)
    return int(since_s * os.sysconf("SC_CLK_TCK"))


def _candidates(whole: bool) -> dict[int, Process]:
    if whole:
        return belongings([os.getpid()])
    own = set(children_of_thread(threading.get_native_id()))
    table = processes() if own else {}
    return belongings(own) | {pid: table[pid] for pid in own if pid in table} if own else {}
