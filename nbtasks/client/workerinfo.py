"""A worker as its users see it: what it shows of itself, and whether it can take calls of this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nbtasks.core.address import PYTHON
from nbtasks.core.packages import differences, in_use
from nbtasks.core.workersheet import ChildSheet, WorkerSheet


@dataclass(frozen=True)
class WorkerInfo:
    """One worker as it showed itself last. Times are epoch seconds of its own clock.

    But ``seen_at`` is by ours, where it is known when the worker was seen.
    """

    id: str
    name: str
    host: str
    pid: int
    #: Full version, such as 3.11.7.
    python: str
    key_id: str
    queues: tuple[str, ...]
    pool: str
    concurrency: int
    slots_busy: int
    slots_total: int
    slots_waiting: int
    rss_bytes: int
    started_at: float
    seen_at: float
    processed: int
    #: Whether it can take calls of this process: same Python, same key.
    matches: bool
    problem: str | None
    #: Module -> version over there, of packages whose objects travel.
    packages: Mapping[str, str] = field(default_factory=dict)
    #: How these differ from what is in use here, in words. Calls run there nevertheless.
    differences: tuple[str, ...] = ()
    #: What has changed in this process since it has started this worker: tasks see it as it was then.
    changes: str = ""
    #: Every key that it accepts; there is more than one while keys are rotated.
    key_ids: tuple[str, ...] = ()
    #: Which files of large values it sees.
    place: str = ""
    #: Batch, index and seconds since the start of each call that it runs.
    running: tuple[tuple[str, int, float], ...] = ()
    #: Each of its children, in their order; none where an older worker does not tell.
    children: tuple[ChildSheet, ...] = ()
    #: How many CPUs its processes have kept busy lately; None where it does not tell.
    cpu: float | None = None


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
    shown = {
        **vars(sheet),
        "packages": packages or {},
        "differences": () if packages is None else differences(packages, in_use()),
    }
    return WorkerInfo(matches=problem is None, problem=problem, **shown)
