"""``%%task --every`` and ``--cron``: a cell that runs again and again; which options go together with that."""

from __future__ import annotations

from typing import Any

from nbtasks.client import whence
from nbtasks.core.due.timetable import Timetable
from nbtasks.core.due.timezones import name_of
from nbtasks.core.errors import ConfigError

#: What stood on the magic's line, as flags.py reads it, which stands on this.
MagicOptions = Any
#: Option -> why a cell that runs again and again has it not.
_UNFIT = {
    "block": "-b waits for one value, and a scheduled cell has one of each run: leave it out, and see the card",
    "get": "-g takes one value, and a scheduled cell has one of each run: let it save what it finds",
    "wait": "--wait limits the waiting of -b or -g, and a scheduled cell waits for nothing",
    "countdown": "--countdown and {how} both say when: give one of them",
    "eta": "--eta and {how} both say when: give one of them",
    "after": "--after waits for runs, and {how} for a time: give one of them, or submit the second in the first",
    "memo": "--memo would give each run the result of the first one: leave it out",
    "rerun": "--rerun is for --memo, and each run of a scheduled cell is a new one",
    "max_parallel": "--max-parallel needs this notebook to send call after call: leave it out, or loop in the cell",
    "on_error": "--on-error is for who takes the results of one run: leave it out",
    "here": "--here runs the cell in this kernel, once: leave {how} out to try it",
    "again": "--again is for runs, and a cell has one schedule: give another name, -n NAME",
}
#: Options that say more about a schedule.
_OF_SCHEDULES = {"tz": None, "keep": False, "missed": None, "overlap": False, "jitter": None}


def is_scheduled(options: MagicOptions) -> bool:
    """Whether the cell is to run again and again."""
    return options.every is not None or options.cron is not None


def unfit(options: MagicOptions) -> str:
    """Return what is wrong with options that do not go together; empty where nothing is."""
    if options.every is not None and options.cron is not None:
        return "--every and --cron both say when: give one of them"
    if not is_scheduled(options):
        said = [name for name, default in _OF_SCHEDULES.items() if getattr(options, name) != default]
        return f"--{said[0]} is for a scheduled cell: add --every 15m or --cron '0 6 * * *'" if said else ""
    how = "--every" if options.every is not None else "--cron"
    for name, why in _UNFIT.items():
        if getattr(options, name):
            return why.format(how=how)
    if options.tz is not None and options.cron is None:
        return "--tz is for --cron: an interval is as long everywhere"
    return ""


def every(text: str) -> str:
    """Read an interval; raises ConfigError where it is none."""
    if text.startswith("@") or len(text.split()) > 3:
        raise ConfigError(f"{text!r:.60} is a crontab's: say --cron {text!r:.60}")
    Timetable.of(text, "UTC")
    return text


def cron(text: str) -> str:
    """Read a line of a crontab; raises ConfigError where it is none."""
    if len(text.split()) == 1 and not text.startswith("@"):
        raise ConfigError(f'{text!r} is no line of a crontab: write five fields in quotes, as in "0 6 * * *"')
    Timetable.of(text, "UTC")
    return text


def zone_name(text: str) -> str:
    """Read a time zone; raises ConfigError where there is none of this name."""
    return name_of(text)


def terms_of(options: MagicOptions) -> dict[str, Any]:
    """Return what is said of the schedule, under the names of :meth:`Terms.make`."""
    return {
        "missed": options.missed or "latest",
        "overlap": options.overlap,
        "jitter": options.jitter or 0,
        "keep": options.keep,
    }


def schedule_name(options: MagicOptions, label: str) -> str:
    """Return the name of a cell's schedule: the same one when the cell runs again, and no other notebook's."""
    if options.name:
        return str(options.name)
    who = whence.submitter()
    what = label or f"cell {who.cell[1:9]}"
    return what if not who.place or who.place.endswith("/") else f"{whence.name_of(who.place)}: {what}"
