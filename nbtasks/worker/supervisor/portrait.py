"""A worker as the list of workers shows it."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Iterable, Mapping, Sequence

from nbtasks.core.packages import versions
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.core.workersheet import ALONE, NO_ROOM, ChildSheet, RunningCalls, WorkerSheet
from nbtasks.worker import slots as in_slot
from nbtasks.worker.cputime import CpuMeter
from nbtasks.worker.executing.sidebyside import shown_running
from nbtasks.worker.memory import resident_bytes
from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import BUSY, CONCURRENT, RunningCall
from nbtasks.worker.taskcounts import Counts, added

from .children import Children
from .identity import Identity
from .servedqueues import ServedQueues

#: Seconds between two lines in the list of workers that say whether a slot is free.
_SHOW_EVERY_S = 1.0
#: Children that are told of one by one, and calls of each.
_MOST_CHILDREN = 100
_MOST_CALLS = 3
_TROUBLES = {in_slot.NO_ROOM: NO_ROOM, in_slot.ALONE: ALONE}


class Portrait:
    """What is told of a worker with each renewal of its lease, and when it is to be told sooner.

    Args:
        children: looked at when they are needed.

    Attributes:
        place: of the files with large values that it sees; empty where it sees none.
        done_before: calls of children that have ended.
    """

    def __init__(
        self,
        identity: Identity,
        options: WorkerOptions,
        children: Children,
        queues: ServedQueues,
    ) -> None:
        self._identity = identity
        self._options = options
        self._children = children
        self._queues = queues
        self._started_at = time.time()
        self.place = ""
        self.done_before = 0
        self._counts_before: Counts = {}
        #: Whether no slot is free, as it was seen last, and as the list of workers shows it; since when (monotonic).
        self._full = self._shown_full = False
        self._shown_at = 0.0
        self._cpus = CpuMeter()

    def note_counts(self, seat: Seat) -> None:
        """A child has ended: what it has counted is kept."""
        self._counts_before = added(self._counts_before, seat.counts.read())

    def counts(self) -> dict[str, dict[str, int]]:
        """Return task -> what has become of its calls here -> how many."""
        total = added(self._counts_before, *(seat.counts.read() for seat in self._children.in_use()))
        return {task: dict(ends) for task, ends in sorted(total.items())}

    def is_outdated(self, now: float) -> bool:
        """Whether to show at once, not with the next renewal, that no slot is free any more, or that one is again."""
        busy, total = self._load()
        full = busy >= total
        # What lasts for one look only is a short call: nobody waits for long because of that.
        lasts, self._full = full == self._full, full
        if lasts and full != self._shown_full and now - self._shown_at > _SHOW_EVERY_S:
            self._shown_at = now
            return True
        return False

    def _load(self) -> tuple[int, int]:
        """Return how many slots are busy, and how many there are."""
        status = [seat.slot.status() for seat in self._children.in_use()]
        per_child = self._options.threads if self._options.pool == "threads" else 1
        return sum(state[2] for state in status if state[1] in {BUSY, CONCURRENT}), len(status) * per_child

    def sheet(self) -> WorkerSheet:
        """Return the worker's line in the list of workers."""
        seats = self._children.in_use()
        slots = [seat.slot for seat in seats]
        status = [slot.status() for slot in slots]
        busy, total = self._load()
        self._shown_full = busy >= total
        pids = dict(self._children.pids)
        sizes = {number: resident_bytes(pid) for number, pid in pids.items()}
        return WorkerSheet(
            id=self._identity.id,
            name=self._identity.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            python=platform.python_version(),
            key_id=self._identity.keyring.id,
            key_ids=tuple(self._identity.keyring.ids),
            queues=tuple(self._queues.names),
            pool=self._options.pool,
            concurrency=self._children.size,
            slots_busy=busy,
            slots_total=total,
            slots_waiting=sum(slot.waiting for slot in slots),
            rss_bytes=resident_bytes(os.getpid()) + sum(sizes.values()),
            started_at=self._started_at,
            seen_at=time.time(),
            processed=self.done_before + sum(state[3] for state in status),
            packages=versions(),
            place=self.place,
            running=_told(shown_running(slots, [seat.roster for seat in seats])),
            children=self._shown_children(seats, sizes),
            cpu=self._cpus.busy([os.getpid(), *pids.values()]),
            troubles=tuple(sorted({_TROUBLES[slot.trouble] for slot in slots if slot.trouble in _TROUBLES})),
        )

    def _shown_children(self, seats: Sequence[Seat], sizes: Mapping[int, int]) -> tuple[ChildSheet, ...]:
        """Return so many children as anybody looks at."""
        return tuple(
            ChildSheet(
                self._children.pids.get(seat.number, 0),
                sizes.get(seat.number, 0),
                _told(shown_running([seat.slot], [seat.roster])[:_MOST_CALLS]),
            )
            for seat in seats[:_MOST_CHILDREN]
        )


def _told(calls: Iterable[RunningCall]) -> RunningCalls:
    now = time.monotonic()
    return tuple((call.batch, call.index, round(now - call.started, 1)) for call in calls)
