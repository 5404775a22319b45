"""What is said of a periodic task besides what it calls: when, its name, and what is done about odd runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbtasks.core.due.missed import check_missed
from nbtasks.core.due.periodic import MOST_NAME
from nbtasks.core.due.timetable import Timetable
from nbtasks.core.durations import seconds
from nbtasks.core.errors import ConfigError
from nbtasks.core.moments import is_moment

#: Option of a call -> why a periodic task has it not.
_REFUSED = {
    "eta": "it begins when it is due: the schedule says when",
    "countdown": "it begins when it is due; jitter= has each run begin a little later, by chance",
    "task_id": "each run has an id of its own",
    "link": "let the task itself submit what comes after it",
    "link_error": "let the task itself see to its errors",
    "rerun": "each run is a new one anyway",
    "again": "each run is a new one anyway",
}


@dataclass(frozen=True)
class Terms:
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
    ) -> Terms:
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
        timetable = Timetable.of(schedule, zone)
        return cls(
            name, timetable, check_missed(missed), overlap, seconds(jitter or 0, "jitter"), keep, owner
        )


def check_call_options(options: Mapping[str, Any]) -> None:
    """Refuse options of calls that runs of a periodic task have not.

    Raises:
        ConfigError: there is one.
    """
    for name in options.keys() & _REFUSED:
        if options[name] not in (None, False, [], ()):
            raise ConfigError(f"{name} is no option of a periodic task: {_REFUSED[name]}")
    expires = options.get("expires")
    if isinstance(expires, (int, float)) and expires <= 0:
        raise ConfigError(
            f"expires: with {expires!r} each run of a periodic task would be late before it begins"
        )
    if is_moment(expires):
        raise ConfigError(
            "expires: of a periodic task it counts from each due time: give seconds or a text such as '10m'; "
            "remove() ends it for good"
        )
