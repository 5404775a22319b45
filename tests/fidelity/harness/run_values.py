"""Every value of the corpus: sent as an argument, captured by a function, brought back; and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from description import Classes, described
from notebook import open_notebook, own_classes, snapshot, values
from report import Report

import nbtasks

PATIENCE_S = 90.0


def main(out: str, only: Sequence[str] = ()) -> None:
    """Compare and write the report.

    Args:
        out: file of the report.
        only: names of the values; all when empty.
    """
    open_notebook("values")
    chosen = {name: value for name, value in values.items() if not only or name in only}
    report = Report()
    with nbtasks.App("fidelity", namespace="fidelity") as app:
        app.start_workers(2)
        own, before = own_classes(), snapshot()
        here = {name: described(value, own) for name, value in chosen.items()}
        look, give = nbtasks.task(described), nbtasks.task(returned)
        sent = [
            (name, what, _sent(submit, value))
            for name, value in chosen.items()
            for what, submit in (
                ("as an argument", look.delay),
                ("there and back", give.delay),
                ("captured", _captured),
            )
        ]
        for name, what, result in sent:
            # A worker cannot tell whose a class is.
            known = {} if what == "as an argument" else own
            expected = described(chosen[name]) if what == "as an argument" else here[name]
            report.compare(name, what, expected, _read(result, known))
        report.compare_notebooks(before, snapshot())
    for name, value in chosen.items():
        report.compare(name, "the value itself", here[name], described(value, own))
    report.write(Path(out))


def returned(value: Any) -> Any:
    """Return what was sent."""
    return value


def _captured(value: Any) -> Any:
    return nbtasks.task(lambda: value).delay()


def _sent(submit: Callable[[Any], Any], value: Any) -> Any:
    try:
        return submit(value)
    except Exception as error:
        return error


def _read(result: Any, own: Classes) -> Any:
    if isinstance(result, Exception):
        return "not sent", type(result).__name__, str(result)
    try:
        value = result.get(timeout=PATIENCE_S)
    except Exception as error:
        return "error", type(error).__name__, str(error)
    return value if result.name.endswith("described") else described(value, own)
