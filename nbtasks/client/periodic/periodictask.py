"""A periodic task as users hold it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from nbtasks.client.attaching import attached
from nbtasks.client.border import at_border
from nbtasks.core.due.periodicfacts import PeriodicFacts, PeriodicRun, missing
from nbtasks.core.errors import ConfigError

if TYPE_CHECKING:
    from nbtasks.client.batches.engineparts import PeriodicKeeper
    from nbtasks.client.current import Provider
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult


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
    def _periodics(self) -> PeriodicKeeper:
        return self._app.engine.periodics

    @property
    def facts(self) -> PeriodicFacts | None:
        """All that is known of it now; None where there is none of this name any more."""
        return self._periodics.find(self.name)

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
