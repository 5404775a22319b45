"""What a worker tells of itself when it is asked."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.packages import versions
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local.connection import Connection
from nbtasks.worker.seats import Seat
from nbtasks.worker.slots import RunningCall

from .children import Children
from .enforcement import Enforcement
from .identity import Identity
from .portrait import Portrait
from .servedqueues import ServedQueues

#: Calls of one kind that are told of.
_MOST_CALLS = 5000
#: Those of them whose arguments are told.
_MOST_SHOWN = 500


class SelfReport:
    """Answers questions about one worker; on any thread.

    Args:
        tasks: returns the names of the tasks that it has of its own.
    """

    def __init__(
        self,
        connection: Connection,
        options: WorkerOptions,
        identity: Identity,
        children: Children,
        queues: ServedQueues,
        enforcement: Enforcement,
        portrait: Portrait,
        tasks: Callable[[], list[str]],
    ) -> None:
        self._connection = connection
        self._options = options
        self._identity = identity
        self._children = children
        self._queues = queues
        self._enforcement = enforcement
        self._portrait = portrait
        self._tasks = tasks
        self._began = time.monotonic()
        self._answers: dict[str, Callable[[], Any]] = {
            "ping": lambda: "pong",
            "active": self._active,
            "reserved": self._reserved,
            "stats": self._stats,
            "registered": lambda: sorted(tasks()),
            "active_queues": lambda: list(queues.names),
            "conf": self._conf,
            "report": self._report,
            "revoked": enforcement.ordered,
        }

    def answer(self, what: str) -> Any:
        """Return JSON types.

        Raises:
            ConfigError: nobody can be asked that.
        """
        if what not in self._answers:
            raise ConfigError(f"this worker does not know the question {what!r:.40}; it is an older one")
        return self._answers[what]()

    def _active(self) -> list[list[Any]]:
        """Return batch, index, seconds since the start and process of each call that runs, and its arguments."""
        now = time.monotonic()
        found: list[list[Any]] = []
        for seat in self._children.in_use():
            pid, known = self._children.pids.get(seat.number, 0), seat.arguments.all()
            for call in _running(seat):
                texts = known.get((call.batch, call.index), ()) if len(found) < _MOST_SHOWN else ()
                found.append([call.batch, call.index, round(max(0.0, now - call.started), 3), pid, *texts])
        return found[:_MOST_CALLS]

    def _reserved(self) -> list[list[Any]]:
        """Return batch, first call and number of calls of what is in hand and not begun."""
        found = []
        for seat in self._children.in_use():
            current, others = seat.hand.jobs()
            held = [*([current] if current is not None else []), *others]
            found += [[one.entry.batch, one.next, one.end - one.next] for one in held if one.next < one.end]
        return found[:_MOST_CALLS]

    def _stats(self) -> dict[str, Any]:
        sheet, options = self._portrait.sheet(), self._options
        usage = resource.getrusage(resource.RUSAGE_SELF)
        counts = self._portrait.counts()
        return {
            "total": {task: sum(ends.values()) for task, ends in counts.items()},
            "ends": counts,
            "pid": os.getpid(),
            "host": sheet.host,
            "uptime": round(time.monotonic() - self._began),
            "processed": sheet.processed,
            "rss_bytes": sheet.rss_bytes,
            "pool": {
                "implementation": options.pool,
                "max-concurrency": self._children.size,
                "processes": [self._children.pids[number] for number in sorted(self._children.pids)],
                "max-tasks-per-child": options.max_tasks_per_child or "N/A",
                "slots": sheet.slots_total,
                "busy": sheet.slots_busy,
            },
            "broker": {"address": self._connection.address, "namespace": self._connection.namespace},
            "queues": list(self._queues.names),
            "rusage": {"utime": usage.ru_utime, "stime": usage.ru_stime, "maxrss": usage.ru_maxrss},
        }

    def _conf(self) -> dict[str, Any]:
        """Return how it runs; the environment that it was given may hold secrets, so only its names."""
        told = self._options.to_json()
        return {**told, "env": sorted(told["env"]), "broker": self._connection.address}

    def _report(self) -> str:
        packages = "  ".join(f"{name} {version}" for name, version in versions().items())
        broker = f"{self._connection.address}, namespace {self._connection.namespace}"
        return "\n".join(
            (
                f"nbtasks worker {self._identity.name}: Python {platform.python_version()} ({sys.executable})",
                f"platform: {platform.platform()}",
                f"packages: {packages}",
                f"broker: {broker}, key {self._identity.keyring.id}",
            )
        )


def _running(seat: Seat) -> list[RunningCall]:
    call = seat.slot.running()
    return [*([call] if call is not None else []), *seat.roster.running()]
