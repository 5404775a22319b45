"""``--dry-run``: what would be sent, and who could take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtasks.client.app import App
from nbtasks.client.submitting.captures import CaptureItem, capture_report, local_modules
from nbtasks.core.errors import OperationalError
from nbtasks.jupyter.card import words
from nbtasks.jupyter.panel.table import Panel

from .publish import show_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtasks.client.task import Task


def dry_run(shell: Any, task: Task, args: Sequence[Any], kwargs: dict[str, Any], *, fan_out: bool) -> None:
    """Show what a submit of ``task`` would send; nothing is submitted."""
    given = (*args, *kwargs.values())
    items = capture_report(task.function, given)
    modules = local_modules(task.function, given, task.app.of_workers)
    notes = [f"Local modules that travel along: {', '.join(modules)}."] if modules else []
    notes += [f"{item.name}: {item.problem}" for item in items if item.problem]
    if fan_out:
        notes.append("The items of the for clause travel besides, one with each call.")
    notes += [_who(task), "Nothing was submitted."]
    show_panel(
        shell,
        Panel(
            title=f"{task.name}, queue {task.options.queue}",
            columns=("captured", "type", "pickled"),
            rows=[_row(item) for item in items],
            empty="It captures nothing.",
            notes=notes,
        ),
    )


def _row(item: CaptureItem) -> tuple[str, str, str]:
    if item.bytes is None:
        return item.name, item.type, "cannot travel"
    # A module that every worker has goes by its name.
    return item.name, item.type, words.size(item.bytes) if item.bytes else "by name"


def _who(task: Task) -> str:
    try:
        workers = App.current().workers()
    except OperationalError as problem:
        return f"No worker could be asked: {problem}"
    listening = [worker for worker in workers if task.options.queue in worker.queues]
    usable = [worker for worker in listening if worker.matches]
    if usable:
        slots = sum(worker.slots_total for worker in usable)
        return f"Could be taken by {', '.join(worker.name for worker in usable)} ({slots} slots)."
    reasons = "; ".join(worker.problem for worker in listening if worker.problem)
    return f"No worker could take it: {reasons or f'none listens on queue {task.options.queue!r}'}."
