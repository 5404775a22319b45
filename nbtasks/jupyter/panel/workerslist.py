"""The list of workers, on any machine, with what each of their children does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.jupyter.card import words

from .table import Panel, RowHandle

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.workersheet import ChildSheet

_COLUMNS = (
    "worker", "queues", "host", "busy", "memory", "calls run", "last seen", "pool", "Python", "pid",
)  # fmt: skip
_EMPTY = (
    "No workers. `%workers start 4` starts four processes here; "
    "`nbtasks worker` in a terminal does it on any machine."
)
#: Children of a worker, and calls of a child, that are listed.
_MOST_CHILDREN = 64
_MOST_CALLS = 3
TOOLS = ("fewer", "more", "restart", "log")


def workers_panel(
    workers: Sequence[WorkerInfo], now: float, name_of: Callable[[str, int], str], own: str | None = None
) -> Panel:
    """Return all workers of the namespace.

    Args:
        name_of: returns what a call is called, given its batch and its number.
        own: id of the worker that this notebook has started.
    """
    slots = sum(worker.slots_total for worker in workers if worker.matches)
    busy = sum(worker.slots_busy for worker in workers if worker.matches)
    return Panel(
        title=f"{busy} of {slots} slots busy" if workers else "",
        columns=_COLUMNS,
        rows=[_row(worker, now) for worker in workers],
        empty=_EMPTY,
        notes=[note for worker in workers if (note := _note(worker))],
        handles=[_handle(worker, name_of) for worker in workers],
        tools=TOOLS if own is not None else ("more",),
    )


def _row(worker: WorkerInfo, now: float) -> tuple[str, ...]:
    return (
        worker.name,
        ", ".join(worker.queues),
        worker.host,
        f"{worker.slots_busy}/{worker.slots_total}",
        words.size(worker.rss_bytes),
        f"{worker.processed:,}",
        f"{words.ago(max(0.0, now - worker.seen_at))} ago",
        f"{worker.pool} {worker.concurrency}",
        worker.python + ("" if worker.matches else " (does not fit)"),
        str(worker.pid),
    )


def _handle(worker: WorkerInfo, name_of: Callable[[str, int], str]) -> RowHandle:
    lines = [
        _child(worker.name, number, child, name_of)
        for number, child in enumerate(worker.children[:_MOST_CHILDREN])
    ]
    state = "" if worker.matches else "FAILURE"
    return RowHandle(worker.id, state or ("STARTED" if worker.slots_busy else "SUCCESS"), (), lines)


def _child(worker: str, number: int, child: ChildSheet, name_of: Callable[[str, int], str]) -> str:
    calls = [
        f"{name_of(batch, index)} for {words.duration(ago)}"
        for batch, index, ago in child.running[:_MOST_CALLS]
    ]
    if more := len(child.running) - len(calls):
        calls.append(f"{more} more")
    doing = ", ".join(calls) or "idle"
    return f"{worker}, child {number} (pid {child.pid}, {words.size(child.rss_bytes)}): {doing}"


def _note(worker: WorkerInfo) -> str:
    if worker.problem:
        return worker.problem
    if worker.changes:
        return (
            f"Since {worker.name} was started, this notebook has changed {worker.changes}. "
            "Tasks do not see that; `%workers restart` starts new workers."
        )
    return f"{worker.name} has {', '.join(worker.differences)}" if worker.differences else ""
