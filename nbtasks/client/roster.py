"""The workers of a namespace, on any machine."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.broker.redis.keys import LANES
from nbtasks.core.address import PYTHON, Address
from nbtasks.core.warning import warn

from .workerinfo import WorkerInfo, read_info

if TYPE_CHECKING:
    from nbtasks.broker.redis.fleet import Fleet
    from nbtasks.broker.redis.store import Store

    from .batches.ledger import Ledger


def read_workers(fleet: Fleet, key_id: str) -> list[WorkerInfo]:
    """Return the workers that were seen in the last minute.

    Args:
        key_id: id of the key here.
    """
    found = {worker: read_info(text, PYTHON, key_id) for worker, text in sorted(fleet.workers().items())}
    # A worker's own clock may be far off.
    return [
        dataclasses.replace(info, seen_at=time.time() - fleet.silent_s(worker))
        for worker, info in found.items()
        if info is not None
    ]


def workers_for(queue: str, fleet: Fleet, key_id: str) -> list[WorkerInfo]:
    """Return those workers that can take calls of this process from a queue."""
    workers = read_workers(fleet, key_id)
    return [worker for worker in workers if worker.matches and queue in worker.queues]


def running_where_alive(batch: Ledger, fleet: Fleet, key_id: str) -> set[int]:
    """Return the calls of a batch that run on workers which still live; the others were given back, or will be."""
    running = batch.running.copy()
    if not running:
        return set()
    names = {worker.id: worker.name for worker in read_workers(fleet, key_id)}
    there = {names[worker] for worker in fleet.alive(list(names))}
    return {index for index, item in running.items() if item.worker in there}


def warn_of_differences(workers: Iterable[WorkerInfo], told: set[str]) -> None:
    """Warn once of workers that have other versions of packages in use here.

    Args:
        told: what was said before; it grows.
    """
    for worker in workers:
        text = ", ".join(worker.differences)
        if text and f"{worker.host}: {text}" not in told:
            told.add(f"{worker.host}: {text}")
            warn(f"worker {worker.name} has {text}: values of these packages may not open on the other side")


@dataclass(frozen=True)
class Stranded:
    """Calls that no worker takes, and this machine would not either.

    Attributes:
        entries: how many entries of the queue they are.
        needs: what a worker for them must have, in words.
    """

    queue: str
    entries: int
    needs: str


def stranded(store: Store, workers: Iterable[WorkerInfo], key_id: str) -> list[Stranded]:
    """Return the calls that wait for another Python or another key, where no such worker is there."""
    served = {
        Address(queue, ".".join(worker.python.split(".")[:2]), accepted)
        for worker in workers
        for queue in worker.queues
        for accepted in worker.key_ids or (worker.key_id,)
    }
    found = []
    for address in store.addresses():
        if address.kind == (PYTHON, key_id) or address in served:
            continue
        entries = store.queue_length(address, LANES)
        if entries:
            found.append(Stranded(address.queue, entries, address.lacking))
    return found
