"""Every function of the corpus: here, then on workers twice in a row, in maps of several calls; and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from description import Classes
from notebook import Item, items, open_notebook, own_classes, snapshot
from outcome import Outcome, in_a_copy, of_result
from report import Report

import nbtasks

PATIENCE_S = 90.0
LIMIT_S = 20.0


def main(out: str, calls: int, every: int = 1, only: Sequence[str] = ()) -> None:
    """Compare and write the report.

    Args:
        out: file of the report.
        calls: calls of one function in each of its two maps.
        every: 2 takes every second function, and so on.
        only: names of the functions; all when empty.
    """
    open_notebook("functions")
    chosen = [item for item in items if not only or item.name in only][::every]
    report = Report()
    here = {item.name: in_a_copy(item.function, own_classes()) for item in chosen}
    with nbtasks.App("fidelity", namespace="fidelity") as app:
        app.start_workers(2)
        own, before = own_classes(), snapshot()
        sent = [(item, _submit(item, calls, own)) for item in chosen]
        there = [(item, [_outcome(result, own) for result in results]) for item, results in sent]
        report.compare_notebooks(before, snapshot())
    for item, outcomes in there:
        _compare(report, item, here[item.name], outcomes)
    report.write(Path(out))


def _submit(item: Item, calls: int, own: Classes) -> list[Any]:
    task = nbtasks.task(item.function, **{"time_limit": LIMIT_S, **item.options})
    results: list[Any] = []
    for _ in range(2):
        try:
            # One by one, that both workers have some, where it matters.
            results += task.starmap(
                [()] * calls, on_error="keep", chunk=1 if item.differs_each_time else calls
            )
        except Exception as error:
            results.append(error)
    return results


def _outcome(result: Any, own: Classes) -> Outcome:
    if isinstance(result, Exception):
        return ("not sent", type(result).__name__, str(result)), ""
    return of_result(result, own, PATIENCE_S)


def _compare(report: Report, item: Item, here: Outcome, outcomes: list[Outcome]) -> None:
    for value, printed in outcomes:
        if item.differs_each_time:
            report.compare(item.name, "value", here[0][0], value[0])
        else:
            report.compare(item.name, "value", here[0], value)
        report.compare(item.name, "printed", here[1], printed)
    if item.differs_each_time and len({repr(value) for value, _ in [here, *outcomes]}) <= len(outcomes):
        report.note(item.name, "two calls gave the same")
