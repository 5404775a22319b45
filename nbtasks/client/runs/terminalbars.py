"""Bars of runs in a terminal, drawn by rich on stderr. Where that is no terminal, one line is left at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from nbtasks.client.batches.loosecalls import Run
from nbtasks.core import context
from nbtasks.core import states as st
from nbtasks.core.errors import ConfigError

#: Seconds between two looks, and between those at many runs.
_LOOK_EVERY_S = 0.1
_LOOK_AT_MANY_EVERY_S = 0.5
#: Runs that have a bar each; of more, those that run or have failed have one, so many of them.
_MOST_BARS = 10
#: Runs of which a line is left each, where nothing is drawn.
_MOST_LINES = 10
_MOST_TITLE = 40
_NO_RICH = (
    "bars in a terminal are drawn by rich, which is not installed: pip install rich, or leave progress out"
)


def draw(runs: Sequence[Run], timeout: float | None = None) -> None:
    """Draw a bar for each run until all have ended, at most ``timeout`` seconds. In a task nothing is drawn.

    Raises:
        ConfigError: rich is not installed.
        KeyboardInterrupt: Ctrl-C was pressed; the bars stay as they are, and the calls go on.
    """
    if context.serving:
        return
    deadline = None if timeout is None else time.monotonic() + timeout
    if sys.stderr is None or not sys.stderr.isatty():
        _wait(runs, deadline, lambda: None)
        _leave_lines(runs)
        return
    bars = _Bars(runs)
    try:
        with bars.rich:
            _wait(runs, deadline, bars.refresh)
            bars.refresh()
    finally:
        bars.put_back()


def _wait(runs: Sequence[Run], deadline: float | None, look: Any) -> None:
    every_s = _LOOK_EVERY_S if len(runs) <= _MOST_BARS else _LOOK_AT_MANY_EVERY_S
    while unfinished := next((run for run in runs if not run.done), None):
        left = every_s if deadline is None else min(every_s, deadline - time.monotonic())
        if left <= 0:
            return
        unfinished.wait_for(lambda run=unfinished: run.done, left)  # type: ignore[misc]
        look()


def _leave_lines(runs: Sequence[Run]) -> None:
    lines = [f"{_title(run)}: {said(run)}" for run in runs]
    if len(runs) > _MOST_LINES:
        lines = [f"{len(runs):,} runs: {_told(_total(runs))}"]
    sys.stderr.write("\n".join(lines) + "\n")


def said(run: Run) -> str:
    """Return ``118 of 120 done, 2 failed``."""
    return _told(run.counts())


def _told(counts: dict[str, int]) -> str:
    told = f"{counts.get(st.SUCCESS, 0):,} of {sum(counts.values()):,} done"
    return ", ".join(filter(None, (told, _bad(counts))))


def _bad(counts: dict[str, int]) -> str:
    others = ((st.FAILURE, "failed"), (st.REVOKED, "cancelled"))
    return ", ".join(f"{counts[state]:,} {word}" for state, word in others if counts.get(state))


def _total(runs: Sequence[Run]) -> dict[str, int]:
    total: dict[str, int] = {}
    for run in runs:
        for state, count in run.counts().items():
            total[state] = total.get(state, 0) + count
    return total


def _title(run: Run) -> str:
    title = " ".join("".join(sign if sign.isprintable() else " " for sign in run.title).split())
    return title if len(title) <= _MOST_TITLE else title[: _MOST_TITLE - 1] + "…"


class _Bars:
    """A bar for each run, or one for all and some for those that matter now."""

    def __init__(self, runs: Sequence[Run]) -> None:
        try:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
        except ImportError as problem:
            raise ConfigError(_NO_RICH) from problem
        self._runs = runs
        self.rich = Progress(
            # No markup: titles are people's.
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[bad]}", markup=False, style="red"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        many = len(runs) > _MOST_BARS
        self._whole = self.rich.add_task(f"{len(runs):,} runs", total=None, bad="") if many else None
        add = self.rich.add_task
        self._bars = [add(_title(run), total=run.n, bad="", visible=not many, start=False) for run in runs]
        self._begun: set[int] = set()
        #: Bars that have nothing more to show.
        self._over: set[int] = set()

    def refresh(self) -> None:
        """Show how far all are."""
        shown = 0
        for place, run in enumerate(self._runs):
            if place not in self._over:
                room = self._whole is None or shown < _MOST_BARS
                shown += self._show(place, run, room=room)
        if self._whole is not None:
            total = _total(self._runs)
            ended = sum(run.finished_count for run in self._runs)
            self.rich.update(self._whole, total=sum(total.values()), completed=ended, bad=_bad(total))
        self.rich.refresh()

    def _show(self, place: int, run: Run, *, room: bool) -> bool:
        """Show one of them, where there is room and it matters now; returns whether it does."""
        bar, done, counts = self._bars[place], run.done, run.counts()
        if place not in self._begun and (done or counts.get(st.STARTED) or run.finished_count):
            self._begun.add(place)
            self.rich.start_task(bar)
        busy = place in self._begun and (not done or run.failed_count > 0)
        matters = self._whole is None or (room and busy)
        self.rich.update(bar, total=run.n, completed=run.finished_count, bad=_bad(counts), visible=matters)
        if done:
            self.rich.stop_task(bar)
            if not matters or self._whole is None:
                self._over.add(place)
        return matters

    def put_back(self) -> None:
        """Leave the terminal as it was found, whatever has ended the drawing."""
        self.rich.console.show_cursor(True)
