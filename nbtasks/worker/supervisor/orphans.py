"""Processes that outlive the one that has started them: the forkserver adopts them (Linux).

What a child leaves behind when it ends is ended with it. A daemon, whose parent has gone while the child lives on, is
ended when the worker is. All of them are waited for, so that none stays a zombie.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Collection

from nbtasks.local.processes.proctree import children_of_process, kill_tree

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36


def adopt() -> None:
    """Be the parent of every process below this one whose own parent ends."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def hear_of_parents_death(number: int) -> None:
    """Get a signal when the parent ends."""
    _prctl(_SET_PDEATHSIG, number)


def _prctl(what: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


class Orphans:
    """What this process, which has one thread, has adopted."""

    def __init__(self) -> None:
        self._daemons: set[int] = set()

    def look(self, children: Collection[int]) -> None:
        """Note whose parent has gone while all children lived."""
        self._daemons = self._adopted(children)

    def end_new(self, children: Collection[int]) -> None:
        """A child has ended: end what it has left behind."""
        for pid in self._adopted(children) - self._daemons:
            kill_tree(pid, children)

    def end_all(self) -> None:
        """End every process below this one, and wait for it."""
        while left := self._adopted(()):
            for pid in left:
                kill_tree(pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def _adopted(self, children: Collection[int]) -> set[int]:
        return {pid for pid in children_of_process() if pid not in children}
