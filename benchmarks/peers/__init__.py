"""The peers, one file for each: nbtasks first, then the task queues, the compute libraries, the local references."""

from __future__ import annotations

from importlib import import_module

from .base import Peer

#: In the order of the report.
NAMES = (
    "nbtasks",
    "celery",
    "rq",
    "huey",
    "dramatiq",
    "taskiq",
    "streaq",
    "docket",
    "dask",
    "ipyparallel",
    "ray",
    "joblib",
    "pool",
    "by_hand",
)


def find(name: str) -> type[Peer]:
    """Return a peer's adapter; the library itself is not imported."""
    return import_module(f"{__name__}.{name}").Adapter
