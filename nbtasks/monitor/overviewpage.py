"""The first page: how much happens, where calls wait, what fails. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .bounded import short

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.queuedepth import QueueDepth

    from .callbook import CallBook
    from .tallies import Tallies

_MOST_TASKS, _MOST_FAILURES = 100, 50


def overview_page(
    book: CallBook,
    queues: Iterable[QueueDepth],
    workers: Sequence[WorkerInfo],
    kind: tuple[str, str],
    now: float,
) -> dict[str, Any]:
    """Return the page.

    Args:
        kind: Python and key of who looks.
    """
    tallies = book.tallies
    tasks = _tasks(book)
    return {
        "rates": tallies.rates(now),
        "totals": {**tallies.totals(), "running": sum(worker.slots_busy for worker in workers)},
        "tasks": tasks[:_MOST_TASKS],
        "more": max(0, len(tasks) - _MOST_TASKS),
        "queues": [queue_row(one, workers, kind) for one in queues if _is_of_interest(one, workers)],
        "workers": {
            "n": len(workers),
            "children": sum(len(one.children) or one.concurrency for one in workers),
            "busy": sum(one.slots_busy for one in workers),
            "mismatched": sum(not one.matches or bool(one.differences) for one in workers),
        },
        "failures": _failures(tallies),
    }


def _is_of_interest(queue: QueueDepth, workers: Iterable[WorkerInfo]) -> bool:
    return bool(queue.waiting or queue.running or queue.delayed or _serving(queue, workers))


def _serving(queue: QueueDepth, workers: Iterable[WorkerInfo]) -> int:
    """Return how many workers take calls there: of its Python, with its key."""
    address = queue.address
    return sum(
        address.queue in one.queues
        and one.python.split(".")[:2] == address.python.split(".")
        and address.key_id in {*one.key_ids, one.key_id}
        for one in workers
    )


def queue_row(queue: QueueDepth, workers: Sequence[WorkerInfo], kind: tuple[str, str]) -> dict[str, Any]:
    """Return a queue, and why nobody takes what waits there."""
    address, serving, why = queue.address, _serving(queue, workers), None
    if queue.waiting and not serving:
        others = sum(address.queue in one.queues for one in workers)
        if others:
            why = f"no worker with Python {address.python} and key {address.key_id} serves it"
        else:
            why = f"no worker serves it; `nbtasks worker -Q {address.queue}` starts one"
    return {
        "name": short(address.queue),
        "python": address.python,
        "key": address.key_id,
        "ours": address.kind == kind,
        "waiting": queue.waiting,
        "running": queue.running,
        "delayed": queue.delayed,
        "oldest_s": queue.oldest_s,
        "workers": serving,
        "why": why,
    }


def _tasks(book: CallBook) -> list[dict[str, Any]]:
    running = book.running_by_task()
    rows = [
        {
            "task": name,
            **{what: tally.of(what) for what in ("sent", "succeeded", "failed", "retried", "revoked")},
            "running": running.get(name, 0),
            "mean_s": tally.sum_s / tally.ran if tally.ran else None,
            "max_s": tally.max_s if tally.ran else None,
        }
        for name, tally in book.tallies.tasks.items()
    ]
    return sorted(rows, key=lambda row: (-max(row["sent"], row["succeeded"] + row["failed"]), row["task"]))


def _failures(tallies: Tallies) -> list[dict[str, Any]]:
    newest = list(reversed(tallies.failures.items()))[:_MOST_FAILURES]
    return [
        {
            "signature": signature,
            "task": task,
            "count": tally.count,
            "last": tally.last,
            "example_id": tally.example,
        }
        for (task, signature), tally in newest
    ]
