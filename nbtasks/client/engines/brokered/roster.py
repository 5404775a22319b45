"""The workers of a namespace, on any machine: which take calls of this process, and what they have in hand."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nbtasks.broker.runners import Runners
from nbtasks.client.stranded import Stranded
from nbtasks.client.workerinfo import WorkerInfo, info_of
from nbtasks.core.address import PYTHON, Address
from nbtasks.core.errors import OperationalError
from nbtasks.core.events import Started
from nbtasks.core.lanenames import LANES
from nbtasks.core.warning import warn

if TYPE_CHECKING:
    from nbtasks.broker.verbs.brokerqueues import Queues
    from nbtasks.broker.verbs.fleet import Fleet
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.local.server.valuefiles import ValueFiles

#: Seconds for which it is believed who takes calls of a queue, where it is only a hint.
_KNOWN_FOR_S = 5.0


class WorkerRoster:
    """The workers, as one session sees them.

    Args:
        key_id: id of the key here.
        files: of large values, None where they go through the broker.
    """

    def __init__(self, fleet: Fleet, queues: Queues, key_id: str, files: ValueFiles | None) -> None:
        self._fleet = fleet
        self._queues = queues
        self._key_id = key_id
        self._files = files
        #: Queue -> when it was looked who takes its calls, and who does.
        self._taking: dict[str, tuple[float, list[WorkerInfo]]] = {}
        self._told: set[str] = set()
        self._addresses: dict[str, Address] = {}

    def address(self, queue: str) -> Address:
        """Return a queue's address for this Python and this key."""
        known = self._addresses.get(queue)
        if known is None:
            known = self._addresses[queue] = Address(queue, PYTHON, self._key_id)
        return known

    # -- who is there

    def workers(self) -> list[WorkerInfo]:
        """Return the workers that were seen in the last minute."""
        fleet = self._fleet
        # A worker's own clock may be far off.
        return [
            dataclasses.replace(info_of(sheet, self._key_id), seen_at=time.time() - fleet.silent_s(worker))
            for worker, sheet in sorted(fleet.workers().items())
        ]

    def taking(self, queue: str) -> list[WorkerInfo]:
        """Return those workers that can take calls of this process from a queue."""
        return [worker for worker in self.workers() if worker.matches and queue in worker.queues]

    def alive(self, workers: Iterable[WorkerInfo]) -> set[str]:
        """Return the ids of those workers that live."""
        return self._fleet.alive([worker.id for worker in workers])

    def slots(self, queue: str) -> int:
        """Return how many calls of a queue run at once, as far as known."""
        return max(1, sum(item.slots_total for item in self._lately_taking(queue)))

    def share_files(self, queue: str) -> bool:
        """Whether all workers of a queue that are known see the files of large values that this process writes."""
        files = self._files
        return files is not None and all(item.place == files.place for item in self._lately_taking(queue))

    def _lately_taking(self, queue: str) -> list[WorkerInfo]:
        now = time.monotonic()
        looked_at, known = self._taking.get(queue, (-_KNOWN_FOR_S, []))
        if now - looked_at > _KNOWN_FOR_S:
            # Only a hint for the size of chunks and the place of values: not worth an error.
            with contextlib.suppress(OperationalError):
                known = self.taking(queue)
                self._warn_of_differences(known)
            self._taking[queue] = (now, known)
        return known

    def _warn_of_differences(self, workers: Iterable[WorkerInfo]) -> None:
        """Warn once of workers that have other versions of packages in use here."""
        for worker in workers:
            text = ", ".join(worker.differences)
            if text and f"{worker.host}: {text}" not in self._told:
                self._told.add(f"{worker.host}: {text}")
                warn(
                    f"worker {worker.name} has {text}: values of these packages may not open on the other side"
                )

    def bury(self, worker_id: str) -> None:
        """Have the calls of a worker that is known to be dead given back at once."""
        with contextlib.suppress(OperationalError):
            self._fleet.bury(worker_id)

    # -- what they do

    def running(self, batch: Ledger) -> set[int]:
        """Return the calls of a batch that run on workers which still live; the others were given back, or will be."""
        running = batch.running.copy()
        if not running:
            return set()
        names = {worker.id: worker.name for worker in self.workers()}
        there = {names[worker] for worker in self._fleet.alive(list(names))}
        return {index for index, item in running.items() if item.worker in there}

    def show_running(self, batch: Ledger) -> None:
        """Have a batch of another session know what runs of it: of what began before it was adopted nobody tells."""
        for info in self.workers():
            for batch_id, index, ago in info.running:
                if batch_id == batch.id and index not in batch.running:
                    batch.apply_event(info.name, Started(index, ago))

    def in_hand_of(self, queue: str, sizes: Mapping[str, int]) -> dict[str, set[int]]:
        """Return batch -> indexes of calls that workers of a queue have in hand, of batches of so many calls."""
        return self._queues.in_hand(self.address(queue), sizes)

    def in_hand(self, batch: Ledger) -> set[int]:
        """Return the calls that workers have taken; a broker that was emptied has lost who took what runs."""
        in_hand = self.in_hand_of(batch.queue, {batch.id: batch.n}).get(batch.id, set())
        known = set(batch.running)
        # A worker shows what it runs with the next renewal of its lease: until then it is only known here.
        return in_hand if in_hand >= known else in_hand | known | self.running(batch)

    def runners(self) -> Runners:
        """Return what runs now, as the workers show it themselves."""
        return Runners(self._fleet)

    def stranded(self, workers: Iterable[WorkerInfo]) -> list[Stranded]:
        """Return the calls that wait for another Python or another key, where no such worker is there."""
        served = {
            Address(queue, ".".join(worker.python.split(".")[:2]), accepted)
            for worker in workers
            for queue in worker.queues
            for accepted in worker.key_ids or (worker.key_id,)
        }
        found = []
        for address in self._queues.addresses():
            if address.kind == (PYTHON, self._key_id) or address in served:
                continue
            entries = self._queues.length(address, LANES)
            if entries:
                found.append(Stranded(address.queue, entries, address.lacking))
        return found
