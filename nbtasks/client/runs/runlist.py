"""Handles of any kind as one list: ``nbtasks.progress(handles)``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from nbtasks.client import observers
from nbtasks.client.batches.loosecalls import LooseCalls, Run
from nbtasks.client.border import at_border
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.core.durations import Duration, patience
from nbtasks.core.errors import ConfigError
from nbtasks.core.pages import page_of

from . import terminalbars

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger

Handle: TypeAlias = "AsyncResult[Any] | GroupResult[Any]"


class RunList:
    """Some handles, shown as one list: a row for each map, and one for all single calls of a task.

    It is shown again where it ends a cell, and by ``show()``. The handles may be of several Apps, and may have ended.
    """

    def __init__(self, handles: Iterable[Handle]) -> None:
        """Take handles of calls and of maps, in any order and as often as they come.

        Raises:
            TypeError: one of them is no handle.
        """
        self.handles = tuple(handles)
        self.runs = runs_of(self.handles)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for run in self.runs:
            for state, count in run.counts().items():
                counts[state] = counts.get(state, 0) + count
        said = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
        return (
            f"<RunList: {len(self.runs):,} runs, {sum(run.n for run in self.runs):,} calls: {said or 'none'}>"
        )

    def __len__(self) -> int:
        return len(self.runs)

    def ready(self) -> bool:
        """Whether every call has ended."""
        return all(run.done for run in self.runs)

    @at_border
    def until_ready(self, timeout: Duration | None = None) -> bool:
        """Wait until all have ended; returns whether they have. Raises nothing of the tasks'."""
        left_s = patience(timeout)
        deadline = None if left_s is None else time.monotonic() + left_s
        for handle in self.handles:
            if not handle.until_ready(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return False
        return True

    @at_border
    def revoke(self, terminate: bool = False) -> None:
        """Revoke all calls that have not ended; with ``terminate`` running ones are stopped."""
        for run in self.runs:
            if not run.done:
                run.revoke(terminate)

    @at_border
    def retry_failed(self) -> RunList:
        """Submit the calls again that have failed or were revoked; their handles tell what becomes of them.

        Returns:
            the list itself.

        Raises:
            ConfigError: nothing failed, or another process submitted them.
        """
        bad = [run for run in self.runs if run.failed_count or run.revoked_count]
        if not bad:
            raise ConfigError("no call of the list has failed")
        for run in bad:
            run.retry_failed()
        return self

    @at_border
    def show(self) -> None:
        """Show the list here. In a terminal or a script it is drawn until all calls have ended; Ctrl-C leaves it."""
        if not observers.shown(self):
            terminalbars.draw(self.runs)

    def _display_(self) -> Any:
        return page_of(self)


def runs_of(handles: Iterable[Handle]) -> list[Run]:
    """Return what stands in the rows: each map, and for each task all of its single calls, in order of appearance.

    Raises:
        TypeError: one of them is no handle.
    """
    rows: dict[Any, Ledger | dict[tuple[str, int], tuple[Ledger, int]]] = {}
    for handle in handles:
        if isinstance(handle, GroupResult):
            rows.setdefault(handle.batch.id, handle.batch)
        elif isinstance(handle, AsyncResult):
            batch = handle.batch
            calls = rows.setdefault((batch.title, batch.name), {})
            if isinstance(calls, dict):
                calls[batch.id, handle.index] = batch, handle.index
        else:
            raise TypeError(f"progress() of handles takes AsyncResult and GroupResult, not {handle!r:.80}")
    return [_run(row) for row in rows.values()]


def _run(row: Ledger | dict[tuple[str, int], tuple[Ledger, int]]) -> Run:
    if not isinstance(row, dict):
        return row
    places = list(row.values())
    alone = places[0][0] if len(places) == 1 else None
    return alone if alone is not None and alone.n == 1 and alone.kind == "call" else LooseCalls(places)


def draw_handles(handles: Iterable[Handle], timeout: float | None) -> None:
    """Draw bars in a terminal until all have ended, at most ``timeout`` seconds."""
    terminalbars.draw(runs_of(handles), timeout)


def progress_of(value: Any) -> RunList | None:
    """Show handles that were given to ``nbtasks.progress()`` outside a task; None where it is something else."""
    if isinstance(value, (AsyncResult, GroupResult)):
        value = [value]
    elif isinstance(value, Mapping):
        value = list(value.values())
    elif not isinstance(value, (list, tuple, set, frozenset)):
        return None
    if not any(isinstance(one, (AsyncResult, GroupResult)) for one in value):
        return None
    shown = RunList(value)
    shown.show()
    return shown
