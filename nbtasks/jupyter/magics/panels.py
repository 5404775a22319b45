"""Tables for ``%tasks``, ``%workers`` and ``--dry-run``, as HTML and as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.core import states
from nbtasks.jupyter.card import saved, words
from nbtasks.jupyter.card.board import Board, overall_state

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.workerinfo import WorkerInfo


@dataclass(frozen=True)
class Panel:
    """A titled table; without rows it says ``empty`` instead."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = ""
    #: Sentences below the table.
    notes: Sequence[str] = ()

    def html(self) -> str:
        """Return the panel as HTML; every cell is escaped."""
        return saved.table(self.title, self.columns, self.rows, self._notes())

    def text(self) -> str:
        """Return the panel as text with aligned columns."""
        lines = [self.title] if self.title else []
        if self.rows:
            table = [[str(cell) for cell in row] for row in (self.columns, *self.rows)]
            widths = [max(len(row[place]) for row in table) for place in range(len(self.columns))]
            for row in table:
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *self._notes()])

    def _notes(self) -> list[str]:
        return [*self.notes, *([self.empty] if not self.rows and self.empty else [])]


def tasks_panel(batches: Sequence[Ledger], now: float, quiet: int = 0) -> Panel:
    """Return what was submitted in this session, newest first.

    Args:
        quiet: calls that have not ended and are not listed, such as those of ``delay()``.
    """
    unlisted = (
        f"{words.calls(quiet)} without a card, of delay() or --quiet, {'has' if quiet == 1 else 'have'} not ended; "
        "`%tasks cancel all` stops them too."
    )
    return Panel(
        title="",
        columns=("id", "task", "state", "calls", "done", "failed", "queue", "submitted", "took"),
        rows=[_batch_row(batch, now) for batch in reversed(batches)],
        empty=""
        if quiet
        else "Nothing was submitted in this session; %tasks attach brings earlier runs back.",
        notes=[unlisted] if quiet else (),
    )


def _batch_row(batch: Ledger, now: float) -> tuple[str, ...]:
    counts = batch.counts()
    ended_at = batch.ended_at
    took = "" if ended_at is None else words.duration(max(0.0, ended_at - batch.created_at))
    return (
        words.short_id(batch.id),
        Board(batch).fold(now).title,
        overall_state(counts, done=ended_at is not None),
        f"{batch.n:,}",
        f"{counts.get(states.SUCCESS, 0):,}",
        f"{counts.get(states.FAILURE, 0):,}" if counts.get(states.FAILURE) else "",
        batch.queue,
        f"{words.ago(now - batch.created_at)} ago",
        took,
    )


_WORKER_COLUMNS = (
    "worker", "host", "pid", "Python", "pool", "queues", "busy", "memory", "calls run", "last seen",
)  # fmt: skip


def workers_panel(workers: Sequence[WorkerInfo], now: float) -> Panel:
    """Return all workers of the namespace, on any machine."""
    slots = sum(worker.slots_total for worker in workers if worker.matches)
    busy = sum(worker.slots_busy for worker in workers if worker.matches)
    return Panel(
        title=f"{busy} of {slots} slots busy" if workers else "",
        columns=_WORKER_COLUMNS,
        rows=[_worker_row(worker, now) for worker in workers],
        empty="No workers. `%workers start 4` starts four processes here; "
        "`nbtasks worker` in a terminal does it on any machine.",
        notes=[note for worker in workers if (note := _note(worker))],
    )


def _note(worker: WorkerInfo) -> str:
    if worker.problem:
        return worker.problem
    if worker.changes:
        return (
            f"Since {worker.name} was started, this notebook has changed {worker.changes}. "
            "Tasks do not see that; `%workers start` again starts new workers."
        )
    return f"{worker.name} has {', '.join(worker.differences)}" if worker.differences else ""


def _worker_row(worker: WorkerInfo, now: float) -> tuple[str, ...]:
    return (
        worker.name,
        worker.host,
        str(worker.pid),
        worker.python + ("" if worker.matches else " (does not fit)"),
        f"{worker.pool} {worker.concurrency}",
        ", ".join(worker.queues),
        f"{worker.slots_busy}/{worker.slots_total}",
        words.size(worker.rss_bytes),
        f"{worker.processed:,}",
        f"{words.ago(max(0.0, now - worker.seen_at))} ago",
    )
