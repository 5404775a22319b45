"""Where no worker lives that would see to it: locks of processes that are dead are freed by who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.pulse import Pulses
from nbtasks.core.clock import steady
from nbtasks.core.errors import OperationalError

if TYPE_CHECKING:
    from nbtasks.broker.verbs.fleet import Fleet
    from nbtasks.broker.verbs.locks import Locks
    from nbtasks.core.lock import Lock


class DeadHolders:
    """As one that waits sees them: nobody is taken for dead whom it has not watched for a whole lease."""

    def __init__(self, fleet: Fleet, locks: Locks, lease_s: float) -> None:
        self._fleet = fleet
        self._locks = locks
        self._pulses = Pulses(lease_s, credulous=False)

    def bury_those_of(self, lock: Lock) -> None:
        """Free what the dead hold of a lock."""
        try:
            asked_at = steady()
            _, found = self._fleet.pulses()
            seen = self._pulses.look(found, asked_at, steady())
            holders = {one.worker for one in self._locks.occupancy(lock.id, lock.capacity).holders}
            for worker in holders & {name for name, one in seen.items() if one.dead}:
                if self._fleet.lapse(worker, seen[worker].lease):
                    self._locks.unlock(worker, guard=True)
        except OperationalError:
            # It is looked again.
            return
