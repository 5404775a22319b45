"""What is known of a periodic task at a moment, for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nbtasks.core.errors import ConfigError

#: What becomes of a periodic task with the process that has made it.
STAYS, WITH_THIS, WITH_ANOTHER, GONE = "", "this process", "another process", "a process that is gone"


@dataclass(frozen=True)
class PeriodicRun:
    """One run.

    Attributes:
        due: when it was due.
        id: of its call, or of its map.
        state: PENDING while it goes on, SUCCESS, or what its first other call is; empty where nobody knows any more.
    """

    due: datetime
    id: str
    state: str


@dataclass(frozen=True)
class PeriodicFacts:
    """What is known of a periodic task at a moment.

    Attributes:
        schedule: when it is due, in words.
        task: name of the task that it calls.
        next_run: when it is due next; None while it pauses.
        runs: the last ones, the newest first.
        count: runs in all.
        skipped: due times that were left out because the run before went on.
        missed: due times that were left out because nobody was there.
        ends_with: whose end is its end too, in words; empty where it stays.
        owner: the App that declares it; empty where it was made by hand.
        coded: when its code was put.
        code: what tells versions of its code apart; empty where workers run their own.
    """

    name: str
    schedule: str
    task: str
    queue: str
    calls: int
    next_run: datetime | None
    paused: bool
    runs: tuple[PeriodicRun, ...]
    count: int
    skipped: int
    missed: int
    ends_with: str
    owner: str
    coded: datetime
    code: str


def missing(name: str) -> ConfigError:
    """Return what is to be said of a name that no periodic task has."""
    return ConfigError(f"there is no periodic task {name!r}; app.periodic_tasks() lists them")
