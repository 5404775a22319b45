"""What there is on the server beyond calls, for people: queues, locks, limits, who lives, the server itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.locks import name_of_lock
from nbtasks.core.brokerfacts import BrokerFacts
from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.occupancy import LockLook
from nbtasks.core.orders import LimitTask
from nbtasks.core.queuedepth import QueueDepth
from nbtasks.core.servergauges import ServerGauges

if TYPE_CHECKING:
    from nbtasks.broker.verbs.brokerline import BrokerLine
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.wire.codec import Codec

    from .roster import WorkerRoster

#: Locks that are looked at one by one.
_MOST_LOCKS = 100


class Lookout:
    """Looks for one session.

    Args:
        line: of its own.
    """

    def __init__(self, line: BrokerLine, codec: Codec, roster: WorkerRoster) -> None:
        self._line = line
        self._gauges = line.gauges()
        self._locks = line.locks()
        self._ordering = line.ordering()
        self._codec = codec
        self._roster = roster

    def queues(self) -> list[QueueDepth]:
        """Return how long queues are."""
        return self._gauges.queues()

    def locks(self) -> tuple[list[LockLook], int]:
        """Return locks, and how many more there are."""
        ids = self._gauges.lock_ids()
        shown = ids[:_MOST_LOCKS]
        return [LockLook(id, name_of_lock(id), self._locks.occupancy(id, 1)) for id in shown], len(ids) - len(
            shown
        )

    def limits(self) -> list[LimitTask]:
        """Return the limits of tasks that were set while workers run, by task."""
        found: dict[str, LimitTask] = {}
        for frame in self._ordering.task_limits():
            with contextlib.suppress(SignatureMismatch, ValueError):
                what = self._codec.open_order(frame).what
                if isinstance(what, LimitTask):
                    found[what.task] = what
        return [found[task] for task in sorted(found)]

    def server(self) -> tuple[BrokerFacts, ServerGauges]:
        """Return what the server is, and what it says of itself."""
        return self._line.look(), self._gauges.server()

    def living(self, workers: Iterable[WorkerInfo]) -> set[str]:
        """Return the ids of those workers that live."""
        return self._roster.alive(workers)
