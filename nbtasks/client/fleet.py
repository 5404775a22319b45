"""The workers of a namespace, on any machine."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbtasks.broker.keys import LANES, Keys
from nbtasks.core.packages import differences, in_use

if TYPE_CHECKING:
    from nbtasks.broker.fleet import Fleet
    from nbtasks.broker.store import Store

    from .batch import Batch


@dataclass(frozen=True)
class WorkerInfo:
    """One worker as it showed itself last. Times are epoch seconds of its own clock."""

    id: str
    name: str
    host: str
    pid: int
    #: Full version, such as 3.11.7.
    python: str
    key_id: str
    queues: tuple[str, ...]
    pool: str
    concurrency: int
    slots_busy: int
    slots_total: int
    slots_waiting: int
    rss_bytes: int
    started_at: float
    seen_at: float
    processed: int
    #: Whether it can take calls of this process: same Python, same key.
    matches: bool
    problem: str | None
    #: Module -> version over there, of packages whose objects travel.
    packages: Mapping[str, str] = field(default_factory=dict)
    #: How these differ from what is in use here, in words. Calls run there nevertheless.
    differences: tuple[str, ...] = ()
    #: Every key that it accepts; there is more than one while keys are rotated.
    key_ids: tuple[str, ...] = ()
    #: Which files of large values it sees.
    place: str = ""


def read_workers(fleet: Fleet, python: str, key_id: str) -> list[WorkerInfo]:
    """Return the workers that were seen in the last minute.

    Args:
        python: ``major.minor`` here.
        key_id: id of the key here.
    """
    found = [_readable(text, python, key_id) for _, text in sorted(fleet.workers().items())]
    return [info for info in found if info is not None]


def workers_for(queue: str, fleet: Fleet, python: str, key_id: str) -> list[WorkerInfo]:
    """Return those workers that can take calls of this process from a queue."""
    workers = read_workers(fleet, python, key_id)
    return [worker for worker in workers if worker.matches and queue in worker.queues]


def running_where_alive(batch: Batch, fleet: Fleet, python: str, key_id: str) -> set[int]:
    """Return the calls of a batch that run on workers which still live; the others were given back, or will be."""
    running = batch.running.copy()
    if not running:
        return set()
    names = {worker.id: worker.name for worker in read_workers(fleet, python, key_id)}
    there = {names[worker] for worker in fleet.alive(list(names))}
    return {index for index, item in running.items() if item.worker in there}


def _readable(text: str, python: str, key_id: str) -> WorkerInfo | None:
    """Return what a worker shows of itself; it is not signed, and what nobody can read is left out."""
    try:
        return _read(json.loads(text), python, key_id)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _key_ids(data: dict[str, object]) -> tuple[str, ...]:
    found = data.get("key_ids")
    return tuple(map(str, found)) if isinstance(found, list) and found else (str(data["key_id"]),)


def _read(data: dict[str, object], python: str, key_id: str) -> WorkerInfo:
    problem = None
    accepted = _key_ids(data)
    if ".".join(str(data["python"]).split(".")[:2]) != python:
        problem = f"{data['name']} runs Python {data['python']}, calls from here need {python}"
    elif key_id not in accepted:
        problem = (
            f"{data['name']} has another key ({data['key_id']}, here {key_id}): give both sides the same one"
        )
    fields = {name: data[name] for name in WorkerInfo.__dataclass_fields__ if name in data}
    fields["queues"] = tuple(data["queues"])  # type: ignore[arg-type]
    fields["key_ids"] = accepted
    # A worker that tells nothing is an older one.
    differs = differences(data["packages"], in_use()) if "packages" in data else ()  # type: ignore[arg-type]
    return WorkerInfo(**fields, matches=problem is None, problem=problem, differences=differs)  # type: ignore[arg-type]


def warn_of_differences(workers: Iterable[WorkerInfo], told: set[str]) -> None:
    """Warn once of workers that have other versions of packages in use here.

    Args:
        told: what was said before; it grows.
    """
    for worker in workers:
        text = ", ".join(worker.differences)
        if text and f"{worker.host}: {text}" not in told:
            told.add(f"{worker.host}: {text}")
            warnings.warn(
                f"worker {worker.name} has {text}: values of these packages may not open on the other side",
                stacklevel=6,
            )


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


def stranded(store: Store, workers: Iterable[WorkerInfo], python: str, key_id: str) -> list[Stranded]:
    """Return the calls that wait for another Python or another key, where no such worker is there."""
    served = {
        (queue, ".".join(worker.python.split(".")[:2]), accepted)
        for worker in workers
        for queue in worker.queues
        for accepted in worker.key_ids or (worker.key_id,)
    }
    found = []
    for address in store.addresses():
        queue, version, key = Keys.parts(address)
        if (version, key) == (python, key_id) or (queue, version, key) in served:
            continue
        entries = store.queue_length(address, LANES)
        if entries:
            needs = f"Python {version}" if version != python else f"key {key}"
            found.append(Stranded(queue, entries, needs))
    return found
