"""The page of workers: what each of their children does, and how they differ from who looks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.workersheet import ChildSheet

MOST_WORKERS, _MOST_CHILDREN, _MOST_CALLS = 200, 64, 3

#: Returns id and task of a call, given its batch and its number.
Named = Callable[[str, int], tuple[str, str]]


def workers_page(
    workers: Sequence[WorkerInfo], living: Collection[str], draining: Collection[str], named: Named
) -> dict[str, Any]:
    """Return the page.

    Args:
        living: ids of those whose lease is there.
        draining: ids of those that were told to end.
    """
    shown = sorted(workers, key=lambda one: (one.name, one.id))[:MOST_WORKERS]
    return {
        "workers": [
            {**_worker(one, named), "alive": one.id in living, "draining": one.id in draining}
            for one in shown
        ],
        "more": len(workers) - len(shown),
    }


def _worker(one: WorkerInfo, named: Named) -> dict[str, Any]:
    problems = [one.problem] if one.problem else []
    return {
        "id": one.id,
        "name": one.name,
        "host": one.host,
        "pid": one.pid,
        "pool": one.pool,
        "queues": list(one.queues),
        "concurrency": one.concurrency,
        "busy": one.slots_busy,
        "slots": one.slots_total,
        "memory": one.rss_bytes,
        "cpu": one.cpu,
        "versions": {"python": one.python, **one.packages},
        "matches": one.matches,
        "mismatches": [*problems, *one.differences],
        "started": one.started_at,
        "seen": one.seen_at,
        "processed": one.processed,
        "children": [
            _child(number, child, named) for number, child in enumerate(one.children[:_MOST_CHILDREN])
        ],
    }


def _child(number: int, child: ChildSheet, named: Named) -> dict[str, Any]:
    calls = []
    for batch, index, for_s in child.running[:_MOST_CALLS]:
        id, task = named(batch, index)
        calls.append({"call": id, "task": task, "for_s": for_s})
    state = "busy" if calls else "idle" if child.pid else "starting"
    return {
        "number": number,
        "pid": child.pid,
        "state": state,
        "memory": child.rss_bytes,
        "calls": calls,
        "more": max(0, len(child.running) - len(calls)),
    }
