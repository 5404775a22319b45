"""The processes of this machine as a tree: what a process has started, whatever that has become since.

Linux only. Elsewhere nothing is found, and a process group is all that can be ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

#: Seconds until a process that was told to stop has stopped; one that waits for a disk may not hear it.
_STOPPED_WITHIN_S = 0.1
_STOP_POLL_S = 0.000_2
#: Whether the system tells about processes.
_TELLS = os.path.exists("/proc/self/stat")  # noqa: PTH110 - read at import, which is to stay light


@dataclass(frozen=True)
class Process:
    """One process, as the system describes it.

    Attributes:
        state: a letter: R, S, D, T (stopped), Z (dead, and not waited for) ...
        started: when, in clock ticks since the machine was started.
    """

    pid: int
    state: str
    parent: int
    group: int
    started: int


def look_up(pid: int) -> Process | None:
    """Return a process; None where it is gone, or the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - hundreds of them are read at once
            # The name before it may contain anything.
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Process(pid, words[0].decode(), int(words[1]), int(words[2]), int(words[19]))


def processes() -> dict[int, Process]:
    """Return pid -> process, for all that can be seen."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - hundreds of them, too
    except OSError:
        return {}
    found = (look_up(int(name)) for name in names if name.isdigit())
    return {process.pid: process for process in found if process is not None}


def belongings(roots: Collection[int], spare: Collection[int] = ()) -> dict[int, Process]:
    """Return what processes have started, and their process groups with all that those have started.

    Args:
        spare: processes that are left out, with what they have started.
    """
    table = processes()
    children: dict[int, list[int]] = defaultdict(list)
    for process in table.values():
        children[process.parent].append(process.pid)
    to_visit = [*roots, *(process.pid for process in table.values() if process.group in roots)]
    found: set[int] = set()
    while to_visit:
        pid = to_visit.pop()
        if pid not in found and (pid in roots or pid not in spare):
            found.add(pid)
            to_visit += children.get(pid, [])
    return {pid: table[pid] for pid in found if pid in table and pid not in roots}


def children_of_thread(thread: int) -> Iterator[int]:
    """Yield the processes that a thread of this process has started and that are still its own."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/children", "rb") as file:  # noqa: PTH123
        yield from map(int, file.read().split())


def children_of_process() -> list[int]:
    """Return the processes whose parent is this one, which has one thread."""
    me = os.getpid()
    if os.path.exists(f"/proc/self/task/{me}/children"):  # noqa: PTH110 - as above
        return list(children_of_thread(me))
    # Some kernels have no such file.
    return [process.pid for process in processes().values() if process.parent == me]


def stop(pid: int) -> None:
    """Stop a process, as ^Z does, and return when it stands still."""
    send(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _STOPPED_WITHIN_S
    while time.monotonic() < deadline:
        process = look_up(pid)
        if process is None or process.state in "TtZX":
            return
        time.sleep(_STOP_POLL_S)


def kill_tree(root: int, spare: Collection[int] = ()) -> None:
    """Kill a process, its group, and everything that they have started; not those that are to be spared."""
    if root != os.getpid():
        send(root, signal.SIGSTOP)
    victims = {root}
    # What stands still starts nothing more, so this comes to an end.
    while more := belongings([root], spare).keys() - victims:
        for pid in more:
            send(pid, signal.SIGSTOP)
        victims |= more
    if not _TELLS:
        with contextlib.suppress(OSError):
            os.killpg(root, signal.SIGKILL)
    for pid in [*victims - {root}, root]:
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    """Send a signal to a process, if it is there and ours."""
    with contextlib.suppress(OSError):
        os.kill(pid, number)
