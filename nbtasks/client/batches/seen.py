"""What is seen of single calls while they run, and of those that have failed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Running:
    """A call that runs. ``started_at`` is local epoch time."""

    worker: str
    started_at: float
    attempt: int
    child: int | None = None


@dataclass(frozen=True)
class Failure:
    """A call that has failed, for cards and tables."""

    index: int
    type: str
    message: str
    traceback: str
    attempts: int
    worker: str


@dataclass(frozen=True)
class Progress:
    """How far a call is, as the task reported it."""

    done: float
    total: float | None
    message: str
