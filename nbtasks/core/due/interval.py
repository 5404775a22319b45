"""``schedule``: due again and again after so much time."""

from __future__ import annotations

import math
from datetime import datetime, time, timedelta
from typing import Any

from nbtasks.core.durations import seconds
from nbtasks.core.errors import ConfigError

from .timezones import zone

#: Seconds.
SHORTEST_S = 0.1
_DAY_S = 86_400


class schedule:  # noqa: N801 - Celery's name
    """Due every so many seconds, for the first time when that time has passed once.

    Args:
        run_every: a timedelta, seconds, or a text such as ``15m``.
        relative: due at whole multiples: every hour means full hours, every day means midnight.
        nowfun: not here: the server's clock counts.
        app: not needed.

    Attributes:
        seconds: of the interval, to the millisecond.

    Raises:
        ConfigError: it is no duration, or is under 0.1 s.
    """

    def __init__(
        self,
        run_every: Any = None,
        relative: bool = False,
        nowfun: Any = None,
        app: Any = None,
    ) -> None:
        if nowfun is not None:
            raise ConfigError(
                "schedule: nowfun is not known here: the server's clock counts, so that all agree"
            )
        if run_every is None:
            raise ConfigError("schedule: run_every is missing: a timedelta, seconds, or a text such as '15m'")
        self.seconds = round(seconds(run_every, "schedule", least_s=SHORTEST_S) * 1000) / 1000
        self.relative = bool(relative)

    @property
    def run_every(self) -> timedelta:
        """The interval, as Celery has it."""
        return timedelta(seconds=self.seconds)

    def after(self, moment: float, tz: str, anchor: float | None = None) -> float:
        """Return when it is due next after a moment, in epoch seconds.

        Args:
            tz: the zone whose midnights and full hours are meant.
            anchor: a moment at which it is, or was, due; None: it begins at ``moment``.
        """
        if self.relative:
            return self._multiple_after(moment, tz)
        # In whole milliseconds: seconds that are added again and again drift.
        step, start, now = (
            round(self.seconds * 1000),
            round((moment if anchor is None else anchor) * 1000),
            moment * 1000,
        )
        due = start + max(1 if anchor is None else 0, math.floor((now - start) / step) + 1) * step
        return due / 1000

    def _multiple_after(self, moment: float, tz: str) -> float:
        step = round(self.seconds * 1000)
        if self.seconds % _DAY_S:
            # By the zone's present distance from UTC: where clocks are set back, no hour is missing.
            where = zone(tz)
            offset = datetime.fromtimestamp(moment, where).utcoffset() or timedelta()
            shift = round(offset.total_seconds() * 1000)
            return ((math.floor((moment * 1000 + shift) / step) + 1) * step - shift) / 1000
        days, where = round(self.seconds / _DAY_S), zone(tz)
        today = datetime.fromtimestamp(moment, where).toordinal()
        next_day = (today // days + 1) * days
        return datetime.combine(datetime.fromordinal(next_day), time(), where).timestamp()

    def __repr__(self) -> str:
        return f"<freq: {self.run_every}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, schedule):
            return NotImplemented
        return (self.seconds, self.relative) == (other.seconds, other.relative)

    def __hash__(self) -> int:
        return hash((self.seconds, self.relative))
