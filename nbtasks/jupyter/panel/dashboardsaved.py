"""The dashboard as it is saved, and where nothing lives: its overview as tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtasks.jupyter.card import words

from .table import Panel

#: Rows of each table, and characters of a cell.
_MOST_ROWS, _MOST_LETTERS = 20, 80


def still(overview: Mapping[str, Any], hint: str = "") -> dict[str, str]:
    """Return what stands in a dashboard's place, as HTML and as text.

    Args:
        overview: the page of that name.
        hint: one more sentence.
    """
    panels = [*_panels(overview), Panel("", (), [], notes=[hint] if hint else ())]
    return {
        "text/html": "".join(panel.html() for panel in panels),
        "text/plain": "\n\n".join(text for panel in panels if (text := panel.text())),
    }


def _panels(overview: Mapping[str, Any]) -> list[Panel]:
    if overview.get("problem"):
        return [Panel("nbtasks dashboard", (), [], notes=[_cell(overview["problem"])])]
    now = overview["now"]
    queues = [
        (
            _cell(one["name"]), _number(one["waiting"]), _number(one["running"]), _number(one["delayed"]),
            _span(one["oldest_s"]), _number(one["workers"]),
        )
        for one in overview["queues"]
    ]  # fmt: skip
    failures = [
        (_number(one["count"]), _cell(one["signature"]), _cell(one["task"]), words.clock(one["last"], now))
        for one in overview["failures"]
    ]
    tasks = [
        (
            _cell(one["task"]), _number(one["sent"]), _number(one["running"]), _number(one["succeeded"]),
            _number(one["failed"]), _span(one["mean_s"]), _span(one["max_s"]),
        )
        for one in overview["tasks"]
    ]  # fmt: skip
    found = [
        Panel(_sentence(overview), ("queue", "waiting", "running", "later", "oldest", "workers"), queues),
        Panel("", ("times", "error", "task", "last"), failures),
        Panel("", ("task", "sent", "running", "done", "failed", "mean", "longest"), tasks),
    ]
    return [_shortened(panel) for panel in found if panel.title or panel.rows]


def _sentence(overview: Mapping[str, Any]) -> str:
    totals, workers = overview["totals"], overview["workers"]
    counts = [
        (totals.get("running", 0), "running"),
        (totals.get("succeeded", 0), "done"),
        (totals.get("failed", 0), "failed"),
    ]
    calls = ", ".join(f"{number:,} {word}" for number, word in counts)
    several = "" if workers["n"] == 1 else "s"
    busy = f"{workers['busy']:,} of {workers['children']:,} busy"
    return f"nbtasks: {workers['n']:,} worker{several}, {busy}; calls: {calls}"


def _shortened(panel: Panel) -> Panel:
    left = len(panel.rows) - _MOST_ROWS
    if left <= 0:
        return panel
    return Panel(panel.title, panel.columns, panel.rows[:_MOST_ROWS], notes=[f"{left:,} more"])


def _cell(text: str) -> str:
    return words.in_short(words.one_line(text, 4 * _MOST_LETTERS), _MOST_LETTERS)


def _number(number: int) -> str:
    return f"{number:,}"


def _span(seconds: float | None) -> str:
    return "" if seconds is None else words.short_duration(seconds)
