"""What is said of a periodic task besides what it calls: when, its name, and what is done about odd runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbtasks.core.durations import seconds
from nbtasks.core.errors import ConfigError

from .missed import check_missed
from .periodic import MOST_NAME
from .timetable import Timetable


@dataclass(frozen=True)
class PeriodicTerms:
    """What is said of one, checked.

    Attributes:
        timetable: when it is due.
        missed: what is done about due times at which nobody was there.
        overlap: a run may begin while the one before goes on.
        jitter_s: seconds by which each run begins later at most.
        keep: it stays when this process ends.
        owner: the App that declares it; empty where it was made by hand.
    """

    name: str
    timetable: Timetable
    missed: str = "latest"
    overlap: bool = False
    jitter_s: float = 0.0
    keep: bool = False
    owner: str = ""

    @classmethod
    def make(
        cls,
        name: str,
        schedule: Any,
        zone: str,
        *,
        missed: Any = "latest",
        overlap: Any = False,
        jitter: Any = 0,
        keep: bool = False,
        owner: str = "",
    ) -> PeriodicTerms:
        """Return them.

        Raises:
            ConfigError: one is nothing that it can be.
        """
        if not isinstance(name, str) or not name.strip() or len(name) > MOST_NAME:
            raise ConfigError(
                f"name: {name!r:.60} is no name of a periodic task: give a text of at most {MOST_NAME} characters"
            )
        if not isinstance(overlap, bool):
            raise ConfigError(
                f"overlap: {overlap!r:.40} is neither True nor False: may a run begin while the one before goes on?"
            )
        timetable, later_s = Timetable.of(schedule, zone), seconds(jitter or 0, "jitter")
        every = getattr(timetable.when, "seconds", None)
        if every is not None and later_s > every and not overlap:
            raise ConfigError(
                f"jitter: {later_s:g} s is longer than the interval, {every:g} s: a run that begins so late goes on "
                "when the next one is due, which is then left out; give less, or overlap=True"
            )
        return cls(name, timetable, check_missed(missed), overlap, later_s, keep, owner)
