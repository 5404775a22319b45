"""What was counted: by second, by task, by kind of failure, and how long calls run. Pure, and bounded."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from nbtasks.client.happened.eventstate import OTHERS

from .bounded import ERROR, short

COUNTED = ("sent", "started", "succeeded", "failed", "retried", "revoked")
_PLACE = {name: place for place, name in enumerate(COUNTED)}
_ENDS = frozenset({"succeeded", "failed", "revoked"})
#: Seconds of which it is known what has happened in each; tasks, and kinds of failures, that are told apart.
SECONDS = 300
_MOST_TASKS = 1_000
_MOST_FAILURES = 500
#: Tasks by worker and queue that are told apart; what all others are.
_MOST_SERIES = 10_000
_OTHER_SERIES = OTHERS, "(others)", "(others)"
#: Upper bounds in seconds of how long calls run, as Prometheus's clients have them.
BUCKETS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
    30.0,
    60.0,
    300.0,
    1800.0,
)
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")


@dataclass
class TaskTally:
    """What was counted of one task; seconds of how long its calls ran."""

    counts: list[int] = field(default_factory=lambda: [0] * len(COUNTED))
    ran: int = 0
    sum_s: float = 0.0
    max_s: float = 0.0
    #: Calls that ran no longer than each bound, and longer than the one before; the last ones longer than all.
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def of(self, name: str) -> int:
        """Return how many of one kind."""
        return self.counts[_PLACE[name]]

    def cumulated(self) -> list[int]:
        """Return how many calls ran no longer than each bound, and at the end how many ran."""
        return list(accumulate(self.buckets))


@dataclass
class FailureTally:
    """Failures of one kind."""

    count: int = 0
    last: float = 0.0
    example: str = ""


class Tallies:
    """Counts what happens.

    Attributes:
        series: (task, worker, queue) -> what was counted of it; of what was submitted, who has done so is the worker.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, TaskTally] = {}
        self.series: dict[tuple[str, str, str], list[int]] = {}
        #: By (task, signature), the newest last.
        self.failures: OrderedDict[tuple[str, str], FailureTally] = OrderedDict()
        self.since: float | None = None
        self._seconds: dict[int, list[int]] = {}
        self._newest = 0

    def note(
        self,
        what: str,
        task: str,
        at: float,
        runtime_s: float | None,
        error: str,
        call: str,
        n: int = 1,
        place: tuple[str, str] = ("", ""),
    ) -> None:
        """Count one event.

        Args:
            what: one of :data:`COUNTED`.
            runtime_s: of each call.
            error: of a failure.
            call: id of the first call.
            n: calls that it is about.
            place: worker and queue.
        """
        kind, second = _PLACE[what], int(at)
        if self.since is None or at < self.since:
            self.since = at
        if second > self._newest - SECONDS:
            of_second = self._seconds.get(second)
            if of_second is None:
                of_second = self._seconds[second] = [0] * len(COUNTED)
                self._newest = max(self._newest, second)
                if len(self._seconds) > 2 * SECONDS:
                    self._forget_seconds()
            of_second[kind] += n
        tally = self.task(task)
        tally.counts[kind] += n
        self._series(task, *place)[kind] += n
        if what in _ENDS and runtime_s is not None:
            tally.ran += n
            tally.sum_s += n * runtime_s
            tally.max_s = max(tally.max_s, runtime_s)
            tally.buckets[bisect_left(BUCKETS, runtime_s)] += n
        if what == "failed":
            self._note_failure(task, error, at, call, n)

    def task(self, name: str) -> TaskTally:
        """Return what was counted of a task."""
        found = self.tasks.get(name)
        if found is None:
            name = name if len(self.tasks) < _MOST_TASKS else OTHERS
            found = self.tasks.setdefault(name, TaskTally())
        return found

    def by_worker(self, what: str) -> Counter[str]:
        """Return worker -> how many of one kind there were."""
        found: Counter[str] = Counter()
        for (_, worker, _), counts in self.series.items():
            found[worker] += counts[_PLACE[what]]
        return found

    def _series(self, task: str, worker: str, queue: str) -> list[int]:
        key = task, worker, queue
        found = self.series.get(key)
        if found is None:
            key = key if len(self.series) < _MOST_SERIES else _OTHER_SERIES
            found = self.series.setdefault(key, [0] * len(COUNTED))
        return found

    def rates(self, now: float) -> list[dict[str, Any]]:
        """Return what has happened in each of the last seconds that are over, oldest first."""
        nothing = [0] * len(COUNTED)
        first = int(now) - SECONDS
        if self.since is not None:
            first = max(first, int(self.since))
        return [
            {"t": float(second), **dict(zip(COUNTED, self._seconds.get(second, nothing), strict=True))}
            for second in range(first, int(now))
        ]

    def totals(self) -> dict[str, int]:
        """Return the sum over all tasks."""
        sums = [sum(tally.counts[place] for tally in self.tasks.values()) for place in range(len(COUNTED))]
        return dict(zip(COUNTED, sums, strict=True))

    def _note_failure(self, task: str, error: str, at: float, call: str, n: int) -> None:
        key = task, signature_of(error)
        tally = self.failures.setdefault(key, FailureTally())
        self.failures.move_to_end(key)
        tally.count += n
        tally.last, tally.example = max(tally.last, at), call
        if len(self.failures) > _MOST_FAILURES:
            self.failures.popitem(last=False)

    def _forget_seconds(self) -> None:
        last = self._newest - SECONDS
        for second in [one for one in self._seconds if one <= last]:
            del self._seconds[second]


def signature_of(error: str) -> str:
    """Return what failures of one kind have in common: the first line, with all numbers alike."""
    first = error.strip().partition("\n")[0]
    return short(_NUMBERS.sub("#", first), ERROR) or "unknown"
