"""Ends children whose calls hold locks and whose worker has had no lease meanwhile, from outside.

A child does the same by itself, and sooner. But it may not come to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nbtasks.core.clock import steady
from nbtasks.local.processes.proctree import kill_tree
from nbtasks.worker.log import LOGGER
from nbtasks.worker.seats import Seat

#: Seconds before the end of the lease: longer than it takes to look again.
_BEFORE_S = 0.3


class LostLocks:
    """Over all children of one worker.

    Args:
        pids: seat -> process id of its child; kept up to date by others.
    """

    def __init__(self, seats: Sequence[Seat], pids: Mapping[int, int]) -> None:
        self._seats = seats
        self._pids = pids
        self._killed: set[int] = set()

    def look(self) -> None:
        """Kill those that may run on without their locks."""
        for number, pid in list(self._pids.items()):
            slot = self._seats[number].slot
            held_since = slot.locked
            if held_since is None:
                continue
            until, lapses = slot.lease()
            if (lapses != held_since or steady() > until - _BEFORE_S) and pid not in self._killed:
                self._killed.add(pid)
                LOGGER.warning("the child with pid %d is killed: the lease of its locks has ended", pid)
                kill_tree(pid, spare=self._pids.values())
