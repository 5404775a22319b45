"""A worker as its users see it: what it shows of itself, and whether it can take calls of this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nbtasks.core.address import PYTHON
from nbtasks.core.packages import differences, in_use
from nbtasks.core.workersheet import WorkerSheet


@dataclass(frozen=True)
class WorkerInfo(WorkerSheet):
    """One worker as it showed itself last. Moments are epoch seconds of its own clock.

    But ``seen_at`` is by ours, where it is known when the worker was seen.

    Attributes:
        matches: whether it can take calls of this process: same Python, same key.
        problem: why it cannot.
        differences: how its packages differ from those in use here, in words; calls run there nevertheless.
        changes: what has changed in this process since it has started this worker: tasks see it as it was then.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    matches: bool = True
    problem: str | None = None
    differences: tuple[str, ...] = ()
    changes: str = ""


def info_of(sheet: WorkerSheet, key_id: str) -> WorkerInfo:
    """Return a worker as this process sees it.

    Args:
        key_id: id of the key here.
    """
    problem = None
    if ".".join(sheet.python.split(".")[:2]) != PYTHON:
        problem = f"{sheet.name} runs Python {sheet.python}, calls from here need {PYTHON}"
    elif key_id not in sheet.key_ids:
        problem = (
            f"{sheet.name} has another key ({sheet.key_id}, here {key_id}): give both sides the same one"
        )
    packages = sheet.packages
    differing = () if packages is None else differences(packages, in_use())
    shown = {**vars(sheet), "packages": packages or {}}
    return WorkerInfo(**shown, matches=problem is None, problem=problem, differences=differing)
