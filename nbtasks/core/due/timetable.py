"""When a periodic task is due, whatever it was given as; and which due times were missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from nbtasks.core.durations import Duration
from nbtasks.core.errors import ConfigError

from .crontab import crontab
from .interval import schedule
from .timezones import zone


@dataclass(frozen=True)
class Timetable:
    """When something is due.

    Attributes:
        when: a crontab or an interval.
        tz: name of the zone that it is meant in.
    """

    when: crontab | schedule
    tz: str

    @classmethod
    def of(cls, given: Any, tz: str) -> Timetable:
        """Return the timetable that somebody means.

        Args:
            given: a crontab, a schedule, a timedelta, seconds, a text such as ``15m``, or a crontab's line.
            tz: the zone where it says none itself.

        Raises:
            ConfigError: it is nothing of these.
        """
        when = _when(given)
        if isinstance(when, crontab) and when.tz is not None:
            return cls(crontab.from_string(when.expression), when.tz)
        return cls(when, tz)

    def first(self, now: float) -> float | None:
        """Return when it is due for the first time, in epoch seconds; None where it never is."""
        return self.when.after(now, self.tz)

    def after(self, moment: float, due: float) -> float | None:
        """Return when it is due next after a moment; ``due`` is when it was due before."""
        if isinstance(self.when, schedule):
            return self.when.after(moment, self.tz, due)
        return self.when.after(max(moment, due), self.tz)

    def due_times(self, due: float, now: float) -> Iterator[float]:
        """Yield the moments from ``due`` on that are past, or now."""
        found: float | None = due
        while found is not None and found <= now:
            yield found
            found = self.after(found, found)

    @property
    def text(self) -> str:
        """What it is, for people."""
        if isinstance(self.when, crontab):
            return f"{_with_ranges(self.when.expression)} ({self.tz})"
        return f"every {_in_words(self.when.seconds)}"

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON types."""
        if isinstance(self.when, crontab):
            return {"cron": self.when.expression, "tz": self.tz}
        relative = {"rel": 1} if self.when.relative else {}
        return {"every": self.when.seconds, "tz": self.tz, **relative}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Timetable:
        """Read what :meth:`to_wire` has made, here or in another version.

        Raises:
            ValueError: it makes no sense.
        """
        try:
            tz = str(wire["tz"])
            zone(tz)
            if "cron" in wire:
                return cls(crontab.from_string(str(wire["cron"])), tz)
            return cls(schedule(float(wire["every"]), relative=bool(wire.get("rel"))), tz)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ValueError(f"no timetable: {error}") from error


def _when(given: Any) -> crontab | schedule:
    if isinstance(given, (crontab, schedule)):
        if type(given) not in {crontab, schedule}:
            raise ConfigError(
                f"schedule: {type(given).__name__} is a class of your own, and whoever fires runs no code of yours: "
                "give a crontab or an interval, and have the task itself look whether there is something to do"
            )
        return given
    if isinstance(given, str) and len(given.split()) in (2, 3) and not given.strip().startswith("@"):
        raise ConfigError(
            f"schedule: {given!r:.60} is neither an interval without spaces, such as '15m' or '1h30m', nor a crontab's "
            "line of five fields, such as '0 6 * * *'"
        )
    if isinstance(given, str) and (len(given.split()) > 1 or given.strip().startswith("@")):
        return crontab.from_string(given)
    if isinstance(given, (int, float, str, timedelta)) and not isinstance(given, bool):
        every: Duration = given
        return schedule(every)
    raise ConfigError(
        f"schedule: {given!r:.60} says no time: give crontab(minute='*/15'), a timedelta, seconds, or a text such as "
        "'15m' or '0 6 * * *'"
    )


def _with_ranges(expression: str) -> str:
    """Return a crontab's line with ranges for three numbers in a row, and more: ``1-5``."""
    return " ".join(map(_field_with_ranges, expression.split()))


def _field_with_ranges(field: str) -> str:
    runs: list[list[str]] = []
    for term in field.split(","):
        follows = (
            runs and term.isdecimal() and runs[-1][-1].isdecimal() and int(term) == int(runs[-1][-1]) + 1
        )
        if follows:
            runs[-1].append(term)
        else:
            runs.append([term])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs)


def _in_words(seconds: float) -> str:
    """Return a duration in its largest units: ``1 h 30 min``."""
    parts = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        whole = int(seconds // size)
        if whole:
            parts.append(f"{whole} {unit}")
            seconds -= whole * size
    if seconds or not parts:
        parts.append(f"{seconds:.10g} s")
    return " ".join(parts)
