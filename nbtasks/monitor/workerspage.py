"""The page of workers: what each of their children does, and how they differ from who looks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.workersheet import ChildSheet

MOST_WORKERS, _MOST_CHILDREN, _MOST_CALLS = 200, 64, 3
#: Workers that are gone, and seconds for which that is said.
_MOST_GONE, _GONE_S = 20, 86_400.0

#: Returns id and task of a call, given its batch and its number.
Named = Callable[[str, int], tuple[str, str]]


def workers_page(
    workers: Sequence[WorkerInfo],
    living: Collection[str],
    draining: Collection[str],
    named: Named,
    failed: Mapping[str, int],
) -> dict[str, Any]:
    """Return the page.

    Args:
        living: ids of those whose lease is there.
        draining: ids of those that were told to end.
        failed: worker -> calls that have failed there, as far as events are kept.
    """
    shown = sorted(workers, key=lambda one: (one.name, one.id))[:MOST_WORKERS]
    return {
        "workers": [
            {
                **_worker(one, named),
                "failed": failed.get(one.name, 0),
                "alive": one.id in living,
                "draining": one.id in draining,
            }
            for one in shown
        ],
        "more": len(workers) - len(shown),
    }


def gone_workers(
    gone: Mapping[str, tuple[float, str]], workers: Sequence[WorkerInfo], now: float
) -> list[dict[str, Any]]:
    """Return those that have gone lately, the newest first.

    Args:
        gone: worker -> when and why, as events tell.
        workers: that are there: one of the same name has taken the other's place.
    """
    there = {one.name for one in workers}
    newest = sorted(gone.items(), key=lambda one: one[1], reverse=True)
    found = [
        {"name": name, "at": at, "reason": reason}
        for name, (at, reason) in newest
        if name not in there and now - at < _GONE_S
    ]
    return found[:_MOST_GONE]


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
