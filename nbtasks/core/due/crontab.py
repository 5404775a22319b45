"""``crontab``: due at minutes of the clock, in a time zone; cronsim computes when, days of changed clocks included."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import ConfigError

from .crontabfield import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH_OF_YEAR
from .timezones import name_of, zone

if TYPE_CHECKING:
    from typing_extensions import Self

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: Seconds, of less than the shortest time that a clock shows, and of the longest in which it is not changed twice.
_TICK_S, _DAY_S = 0.5, 86_400.0
#: In the order of a crontab's line.
_FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH_OF_YEAR, DAY_OF_WEEK)


class crontab:  # noqa: N801 - Celery's name
    """Due at the minutes that all fields fit, as in Celery: day of month *and* day of week.

    Each is a number, a text (``*``, ``*/15``, ``1-5``, ``mon,fri``, ``22-2``), or numbers in a list or set. Names of
    days and months will do for their numbers; Sunday is 0, and 7.

    Args:
        minute: 0 to 59.
        hour: 0 to 23.
        day_of_week: 0 to 7, or a name; ``1#2`` is the second Monday of a month, ``5L`` the last Friday.
        day_of_month: 1 to 31; ``L`` is the last one, ``LW`` the last one that is no Saturday or Sunday.
        month_of_year: 1 to 12, or a name.
        tz: the time zone; None: the App's ``timezone``, or this machine's.
        nowfun: not here: the server's clock counts.
        app: not needed.

    Attributes:
        expression: its line in a crontab.

    Raises:
        ConfigError: a field says nothing that there is, or the day never comes.
    """

    def __init__(
        self,
        minute: Any = "*",
        hour: Any = "*",
        day_of_week: Any = "*",
        day_of_month: Any = "*",
        month_of_year: Any = "*",
        *,
        tz: Any = None,
        nowfun: Any = None,
        app: Any = None,
    ) -> None:
        if nowfun is not None:
            raise ConfigError(
                "crontab: nowfun is not known here: the server's clock counts, so that all agree; "
                "tz='Europe/Berlin' says the time zone"
            )
        if isinstance(minute, str) and len(minute.split()) == len(_FIELDS):
            raise ConfigError(
                f"crontab: {minute!r:.60} is a whole line: say crontab.from_string({minute!r:.60})"
            )
        given = (minute, hour, day_of_month, month_of_year, day_of_week)
        self.expression = " ".join(field.written(value) for field, value in zip(_FIELDS, given, strict=True))
        self.tz = None if tz is None else name_of(tz)
        self._refuse_never(given)

    @classmethod
    def from_string(cls, crontab: str, *, tz: Any = None) -> Self:
        """Return one from a crontab's line: minute, hour, day of month, month, day of week; or ``@daily`` and the like.

        Raises:
            ConfigError: it is none.
        """
        if not isinstance(crontab, str):
            raise ConfigError(f"crontab: {crontab!r:.60} is no line of a crontab, such as '0 6 * * *'")
        if len(crontab.split()) == 2 and crontab.split(maxsplit=1)[0].lower() == "@every":
            raise ConfigError(f"crontab: {crontab!r:.60} is an interval: say {crontab.split()[1]!r} alone")
        text = _ALIASES.get(crontab.strip().lower(), crontab)
        parts = text.split()
        if len(parts) != len(_FIELDS):
            known = ", ".join(sorted(_ALIASES)) if text.strip().startswith("@") else ""
            raise ConfigError(
                f"crontab: {crontab!r} "
                + (f"is not known; known are {known}" if known else f"has {len(parts)} fields, not 5: ")
                + ("" if known else "minute, hour, day of month, month, day of week, such as '0 6 * * *'")
            )
        minute, hour, day_of_month, month_of_year, day_of_week = parts
        return cls(minute, hour, day_of_week, day_of_month, month_of_year, tz=tz)

    def _refuse_never(self, given: tuple[Any, ...]) -> None:
        # Every date comes on every day of the week within 40 years.
        if self.after(0.0, "UTC") is None:
            raise ConfigError(
                f"crontab: {self.expression!r} is never due: there is no such day (day_of_month={given[2]!r}, "
                f"month_of_year={given[3]!r}, day_of_week={given[4]!r})"
            )

    def after(self, moment: float, tz: str) -> float | None:
        """Return when it is due next after a moment, in epoch seconds; None where it never is.

        Args:
            tz: the zone that counts where it has none itself.
        """
        where = zone(self.tz or tz)
        for found in _times(self.expression, datetime.fromtimestamp(moment, where)):
            # An hour that comes twice is over once it has been.
            if found > moment:
                return found
        return None

    def __repr__(self) -> str:
        minute, hour, day, month, weekday = self.expression.split()
        return f"<crontab: {minute} {hour} {day} {month} {weekday} (m/h/dM/MY/d)>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, crontab):
            return NotImplemented
        return (self.expression, self.tz) == (other.expression, other.tz)

    def __hash__(self) -> int:
        return hash((self.expression, self.tz))


@functools.lru_cache(maxsize=1)
def _library() -> Any:
    import cronsim

    return cronsim


def _times(expression: str, begin: datetime) -> Iterator[float]:
    """Yield the moments that fit."""
    if str(begin.tzinfo) == "UTC":
        begin = begin.astimezone(timezone.utc)
    elif any(field.startswith("*") for field in expression.split()[:2]):
        yield from _by_the_clock(expression, begin)
        return
    for found in _simulated(expression, begin):
        yield found.timestamp()


def _by_the_clock(expression: str, begin: datetime) -> Iterator[float]:
    """Yield each moment at which a clock of the zone shows what fits, whether it comes twice that day or not at all.

    The library counts hours on from where it is; where clocks are changed by half an hour it loses some.
    """
    zone, moment = begin.tzinfo, begin.timestamp()
    while True:
        ahead = _ahead(moment + _TICK_S, zone)
        shown = datetime.fromtimestamp(moment, timezone.utc).replace(tzinfo=None) + ahead
        found = next(_simulated(expression, shown), None)
        if found is None:
            return
        then = (found - ahead).replace(tzinfo=timezone.utc).timestamp()
        changed = _change(moment, then, zone)
        if changed is None:
            yield then
        # The first moment of the other time may be one that fits.
        moment = then if changed is None else changed - _TICK_S


def _ahead(moment: float, zone: tzinfo | None) -> timedelta:
    """Return by how much clocks are ahead of UTC."""
    return datetime.fromtimestamp(moment, zone).utcoffset() or timedelta()


def _change(after: float, until: float, zone: tzinfo | None) -> float | None:
    """Return the first moment at which clocks are changed; None where they are not."""
    before, sure = _ahead(after + _TICK_S, zone), after + _TICK_S
    while sure < until:
        least, most = sure, min(until, sure + _DAY_S)
        if _ahead(most, zone) == before:
            sure = most
            continue
        while most - least > _TICK_S:
            middle = (least + most) / 2
            least, most = (middle, most) if _ahead(middle, zone) == before else (least, middle)
        # To the second: clocks are changed at a full minute.
        return float(round(most))
    return None


def _simulated(expression: str, begin: datetime) -> Iterator[datetime]:
    """Yield what the library finds."""
    library = _library()
    try:
        simulation = library.CronSim(expression, begin)
    except library.CronSimError as error:
        if "*" in expression.split()[2] + expression.split()[4] or "day-of-month" in str(error):
            # It knows of days that no month has; that for Python 3.10 also where a day of the week is named.
            return
        raise ConfigError(f"crontab: {expression!r}: {error}") from None
    # Celery's: both fields count, whatever they begin with.
    simulation.day_and = True
    yield from simulation
