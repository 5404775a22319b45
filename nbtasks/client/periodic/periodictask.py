"""A periodic task as users hold it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nbtasks.client.attaching import attached
from nbtasks.client.border import at_border
from nbtasks.core.due.timezones import zone
from nbtasks.core.errors import ConfigError
from nbtasks.core.states import NAMES

if TYPE_CHECKING:
    from nbtasks.broker.redis.periodicstore import PeriodicStanding
    from nbtasks.client.current import Provider
    from nbtasks.client.engines.redis.periodics import Periodics
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult
    from nbtasks.wire.periodicrecord import PeriodicRecord

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


class PeriodicTask:
    """A call that is made again and again, by its name.

    ``app.add_periodic_task()`` and ``app.periodic_tasks()`` return it. What it says is asked for each time.
    """

    def __init__(self, name: str, app: Provider) -> None:
        if not isinstance(name, str):
            raise ConfigError(
                f"{name!r:.60} is no name of a periodic task, which is a text; app.periodic_tasks() lists them"
            )
        self.name = name
        self._app = app

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<PeriodicTask {self.name!r}>"

    @property
    def _periodics(self) -> Periodics:
        # An App that has none says so when it is asked for its session.
        app: Any = self._app
        _ = app.session
        found: Periodics = app.engine.periodics
        return found

    @property
    def facts(self) -> PeriodicFacts | None:
        """All that is known of it now; None where there is none of this name any more."""
        periodics = self._periodics
        found = periodics.find(self.name)
        return None if found is None else facts_of(found[1], found[2], periodics.client)

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self.facts is not None

    @property
    def schedule(self) -> str:
        """When it is due, in words."""
        return self._facts.schedule

    @property
    def next_run(self) -> datetime | None:
        """When it is due next; None while it pauses."""
        return self._facts.next_run

    @property
    def runs(self) -> tuple[PeriodicRun, ...]:
        """The last runs, the newest first."""
        return self._facts.runs

    @property
    def count(self) -> int:
        """Runs so far."""
        return self._facts.count

    @property
    def skipped(self) -> int:
        """Due times that were left out because the run before went on."""
        return self._facts.skipped

    @property
    def missed(self) -> int:
        """Due times that were left out because nobody was there."""
        return self._facts.missed

    @property
    def paused(self) -> bool:
        """Whether it pauses."""
        return self._facts.paused

    @property
    def _facts(self) -> PeriodicFacts:
        found = self.facts
        if found is None:
            from nbtasks.client.engines.redis.periodics import missing

            raise missing(self.name)
        return found

    @at_border
    def last(self) -> AsyncResult | GroupResult | None:
        """Return the handle of the last run; None where there was none."""
        runs = self._facts.runs
        return attached(self._app, runs[0].id, None)[0] if runs else None

    @at_border
    def pause(self) -> None:
        """Leave out due times until :meth:`resume`.

        Raises:
            ConfigError: it is not there any more.
        """
        self._periodics.pause(self.name)

    @at_border
    def resume(self) -> None:
        """Go on, with the next due time from now on.

        Raises:
            ConfigError: it is not there any more.
        """
        self._periodics.resume(self.name)

    @at_border
    def run_now(self) -> AsyncResult | GroupResult:
        """Submit a run beside the schedule; returns its handle.

        Raises:
            ConfigError: a run of it goes on, and they may not overlap; or it is not there any more.
        """
        return attached(self._app, self._periodics.run_now(self.name), None)[0]

    @at_border
    def remove(self) -> bool:
        """End it for good; a run that has begun goes on. Returns False where it was not there any more."""
        return self._periodics.remove(self.name)


def facts_of(record: PeriodicRecord, standing: PeriodicStanding, client: str) -> PeriodicFacts:
    """Return what is known of one.

    Args:
        client: id of this process.
    """
    task = record.task
    where = zone(task.timetable.tz)

    def at(moment_ms: float) -> datetime:
        return datetime.fromtimestamp(moment_ms / 1000, where)

    if not task.client:
        ends_with = STAYS
    elif task.client == client:
        ends_with = WITH_THIS
    else:
        ends_with = WITH_ANOTHER if standing.is_there else GONE
    runs = tuple(
        PeriodicRun(at(due), batch, NAMES[code] if code < len(NAMES) else "")
        for due, batch, code in standing.last
    )
    return PeriodicFacts(
        task.name,
        task.timetable.text,
        task.label.name,
        task.label.queue,
        task.count,
        None if standing.next_ms is None else at(standing.next_ms),
        standing.paused_ms is not None,
        runs,
        standing.runs,
        standing.overlapped,
        standing.missed,
        ends_with,
        task.owner,
        at(task.coded_at * 1000),
        task.code,
    )
