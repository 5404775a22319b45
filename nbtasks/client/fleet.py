"""The workers of a namespace, on any machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtasks.broker.fleet import Fleet


@dataclass(frozen=True)
class WorkerInfo:
    """One worker as it showed itself last. Times are epoch seconds of its own clock."""

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


def read_workers(fleet: Fleet, python: str, key_id: str) -> list[WorkerInfo]:
    """Return the workers that were seen in the last minute.

    Args:
        python: ``major.minor`` here.
        key_id: id of the key here.
    """
    found = [_readable(text, python, key_id) for _, text in sorted(fleet.workers().items())]
    return [info for info in found if info is not None]


def _readable(text: str, python: str, key_id: str) -> WorkerInfo | None:
    """Return what a worker shows of itself; it is not signed, and what nobody can read is left out."""
    try:
        return _read(json.loads(text), python, key_id)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _read(data: dict[str, object], python: str, key_id: str) -> WorkerInfo:
    problem = None
    accepted = data.get("key_ids") or [data["key_id"]]
    if ".".join(str(data["python"]).split(".")[:2]) != python:
        problem = f"{data['name']} runs Python {data['python']}, calls from here need {python}"
    elif key_id not in accepted:  # type: ignore[operator]
        problem = (
            f"{data['name']} has another key ({data['key_id']}, here {key_id}): give both sides the same one"
        )
    fields = {name: data[name] for name in WorkerInfo.__dataclass_fields__ if name in data}
    fields["queues"] = tuple(data["queues"])  # type: ignore[arg-type]
    return WorkerInfo(**fields, matches=problem is None, problem=problem)  # type: ignore[arg-type]
