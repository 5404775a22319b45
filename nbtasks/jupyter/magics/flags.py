"""The options of ``%%task`` and ``%task``: one table for parsing, help and completion."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, get_args

from nbtasks.core.due.missed import Missed
from nbtasks.core.durations import seconds
from nbtasks.core.errors import ConfigError
from nbtasks.core.keywords import MapKeywords, OnError, TaskKeywords, meanings
from nbtasks.core.lock import check_capacity
from nbtasks.core.nearest import nearest
from nbtasks.core.options import check_priority, check_queue, check_seed
from nbtasks.core.rates import rate

from . import timing


class OptionError(ConfigError):
    """An option of a magic is unknown or has a bad value."""


@dataclass(frozen=True)
class MagicOptions:
    """What stood on the line of a ``%%task`` or ``%task``. Durations are seconds."""

    block: bool
    noblock: bool
    out: str | None
    get: tuple[str, ...]
    name: str | None
    queue: str | None
    priority: int | None
    retries: int | None
    retry_delay: float | None
    retry_on: tuple[str, ...]
    timeout: float | None
    soft_timeout: float | None
    wait: float | None
    countdown: float | None
    eta: datetime | None
    after: Sequence[str]
    every: str | None
    cron: str | None
    tz: str | None
    keep: bool
    missed: str | None
    overlap: bool
    jitter: float | None
    expires: float | None
    rate_limit: str | None
    seed: int | None
    memo: bool
    rerun: bool
    max_parallel: int | None
    at_once: int | None
    chunk: int | None
    on_error: str | None
    dry_run: bool
    here: bool
    again: bool
    quiet: bool

    def task_options(self) -> dict[str, Any]:
        """Return the options of the task, under the names of TaskOptions; exception classes are left out."""
        given = {
            "queue": self.queue,
            "priority": self.priority,
            "retries": self.retries,
            "default_retry_delay": self.retry_delay,
            "time_limit": self.timeout,
            "soft_time_limit": self.soft_timeout,
            "expires": self.expires,
            "rate_limit": self.rate_limit,
            "max_concurrency": self.at_once,
            "seed": self.seed,
            # Without a word, it is the task's.
            "memo": True if self.memo else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def call_options(self) -> dict[str, Any]:
        """Return the options of one submit."""
        given = {"countdown": self.countdown, "eta": self.eta, "rerun": True if self.rerun else None}
        return {name: value for name, value in given.items() if value is not None}

    def map_options(self) -> dict[str, Any]:
        """Return the options of a fan-out."""
        given = {"chunk": self.chunk, "max_parallel": self.max_parallel, "on_error": self.on_error}
        return {name: value for name, value in given.items() if value is not None}


class MagicParser(argparse.ArgumentParser):
    """Raises OptionError where argparse would end the process; has no help and takes no shortened options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog=prog, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse has found."""
        magic, _, subcommand = self.prog.partition(" ")
        if subcommand:
            raise OptionError(f"{self.prog}: {message}; `{magic}?` shows what there is")
        raise OptionError(message)


def split_words(line: str, what: str = "the line") -> list[str]:
    """Split a line as a shell does.

    Raises:
        OptionError: a quotation is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as problem:
        raise OptionError(f"cannot read {what} `{line}`: {str(problem).lower()}") from None


def parse_options(line: str) -> MagicOptions:
    """Parse the options of a line, its ``for`` clause and comment already cut off.

    Raises:
        OptionError: naming the nearest option where one is unknown.
    """
    parsed, left = PARSER.parse_known_args(split_words(line, "the options"))
    if left:
        raise OptionError(_unknown(left[0]))
    options = MagicOptions(**vars(parsed))
    _check_together(options)
    return options


def take_options(line: str) -> tuple[str, str]:
    """Split the line of ``%task`` into its options and the expression after them.

    Options end at the first word that is none, or at ``--``.
    """
    position = 0
    while word := _WORD.match(line, position):
        text = word.group().strip()
        if text == "--":
            return line[:position].strip(), line[word.end() :].strip()
        if not _looks_like_option(text):
            break
        action = _action_of(text)
        position = word.end()
        if action is not None and action.nargs != 0 and not _carries_value(text):
            value = _WORD.match(line, position)
            position = value.end() if value else len(line)
    return line[:position].strip(), line[position:].strip()


def option_names() -> list[tuple[str, bool]]:
    """Return each long option with whether it takes a value, in the order of the help."""
    return [(action.option_strings[-1], action.nargs != 0) for action in ACTIONS]


def option_choices(option: str) -> list[str]:
    """Return the values that ``option`` accepts when it is one of a few words."""
    action = _action_of(option)
    if action is None:
        return []
    if action.dest == "priority":
        return ["low", "normal", "high"]
    if action.dest == "rate_limit":
        return ["10/s", "100/m", "5/h"]
    return list(action.choices) if action.choices else ["auto"] if action.dest == "chunk" else []


def takes_queue(option: str) -> bool:
    """Whether the value of ``option`` is a queue's name."""
    action = _action_of(option)
    return action is not None and action.dest == "queue"


def help_text() -> str:
    """Return the options for ``%%task?``."""
    formatter = argparse.HelpFormatter("", max_help_position=26, width=100)
    formatter.add_arguments(ACTIONS)
    return formatter.format_help()


# A word with its quoted parts, and the space before it.
_WORD = re.compile(r"""\s*(?:"(?:\\.|[^"])*"|'[^']*'|[^\s"'])+""")


def near_subcommand(magic: str, word: str, known: Iterable[str]) -> str:
    """Return the question whether another subcommand was meant; empty where none is near."""
    near = nearest(word, known)
    return f"did you mean `{magic} {near}`? " if near else ""


def _looks_like_option(word: str) -> bool:
    return re.match(r"--?[A-Za-z]", word) is not None


def _carries_value(word: str) -> bool:
    return "=" in word if word.startswith("--") else len(word) > 2


def _action_of(word: str) -> argparse.Action | None:
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    return next((action for action in ACTIONS if name in action.option_strings), None)


def _unknown(word: str) -> str:
    if not word.startswith("-"):
        return (
            f"unexpected `{word}`: the line of %%task holds options and a for clause; "
            f"to run one expression, write `%task {word} ...`"
        )
    name = word.partition("=")[0]
    known = [text for action in ACTIONS for text in action.option_strings]
    near = nearest(name, known)
    if near:
        return f"unknown option {name}: did you mean {near}?"
    named = ", ".join(max(action.option_strings, key=len) for action in ACTIONS)
    return f"unknown option {name}; there are {named}. `%%task?` says what each one does"


def _check_together(options: MagicOptions) -> None:
    if wrong := timing.unfit(options):
        raise OptionError(wrong)
    if options.block and options.noblock:
        raise OptionError("-b waits and -a does not: give one of them")
    if options.get and options.noblock:
        raise OptionError("-g waits for the values and -a does not wait: give one of them")
    if options.wait is not None and not (options.block or options.get):
        raise OptionError("--wait limits the waiting of -b or -g, so it needs one of them")
    if options.countdown is not None and options.eta is not None:
        raise OptionError("--countdown and --eta both say when to start: give one of them")
    if options.after:
        _check_after(options)
    if options.here and (options.noblock or options.countdown is not None or options.eta is not None):
        raise OptionError("--here runs the task in this kernel, now: -a, --countdown and --eta do not fit")


def _check_after(options: MagicOptions) -> None:
    """Refuse what means nothing for a task of which nobody knows when it begins."""
    if options.eta is not None:
        raise OptionError(
            "--eta names a time, and --after waits for runs: with --countdown S it waits S longer"
        )
    if options.memo:
        raise OptionError(
            "--memo looks for a kept result at once, and --after gets the arguments later: give one"
        )
    for name in ("max_parallel", "chunk"):
        if getattr(options, name) is not None:
            raise OptionError(
                f"--{name.replace('_', '-')} does not go together with --after: give one of them"
            )


def _duration(text: str) -> float:
    try:
        return seconds(text)
    except ConfigError:
        message = f"{text!r} is not a duration; write seconds or 90s, 5m, 1h30m"
        raise argparse.ArgumentTypeError(message) from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))  # Python 3.10 knows no Z
    except ValueError:
        message = f"{text!r} is not a time; write 2030-01-31T18:00, or with a zone 2030-01-31T18:00+02:00"
        raise argparse.ArgumentTypeError(message) from None
    return moment.astimezone()  # a time without a zone is the notebook's own


def count(text: str) -> int:
    """Read a whole number of 1 or more; an argparse type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _count_or_none(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _chunk(text: str) -> int | None:
    return None if text == "auto" else count(text)


def _rate(text: str) -> str:
    """Read a rate; 0 stays what it is, for it takes away the limit that a task has."""
    return rate(text) or text


def _places(text: str) -> int:
    return check_capacity(int(text) if text.isdecimal() and len(text) < 10 else text, "at-once")


def _seed(text: str) -> int | None:
    return check_seed(int(text) if text.isdecimal() and len(text) < 50 else text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise argparse.ArgumentTypeError("name at least one")
    return names


def _variable(text: str) -> str:
    if not text.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not a variable name")
    return text


def _checked(check: Any) -> Any:
    """Turn a check that raises ConfigError into one that argparse reports with the option's name."""

    def read(text: str) -> Any:
        try:
            return check(text)
        except ConfigError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from None

    return read


def _make_parser() -> tuple[MagicParser, list[argparse.Action]]:
    parser = MagicParser("%%task")
    actions: list[argparse.Action] = []
    said = {**meanings(MapKeywords), **meanings(TaskKeywords)}

    def add(*names: str, **settings: Any) -> None:
        actions.append(parser.add_argument(*names, **settings))

    add("-b", "--block", action="store_true", help="wait; the cell's result is the task's value")
    add("-a", "--noblock", action="store_true", help="submit and return, even where nobody watches")
    add("-o", "--out", type=_variable, metavar="NAME", help="put the handle in NAME")
    add("-g", "--get", type=_names, default=(), metavar="NAME[,NAME]",
        help="wait, and put values in NAMEs: names that the body assigns, or one for its last expression; "
        "with a for clause each gets the list")  # fmt: skip
    add("-n", "--name", metavar="TEXT", help="the card's title; default: the first comment")
    add("-q", "--queue", type=_checked(check_queue), metavar="Q", help=said["queue"])
    add(
        "--priority",
        type=_checked(check_priority),
        metavar="P",
        help=said["priority"],
    )
    add("--retries", type=_count_or_none, metavar="N", help=said["retries"])
    add("--retry-delay", type=_duration, metavar="S", help=said["default_retry_delay"])
    add("--retry-on", type=_names, default=(), metavar="EXC[,EXC]", help="retry on these exceptions only")
    add("--timeout", type=_duration, metavar="S", help=said["time_limit"])
    add("--soft-timeout", type=_duration, metavar="S", help=said["soft_time_limit"])
    add("--wait", type=_duration, metavar="S", help="with -b: give up waiting after S; the task goes on")
    add("--countdown", type=_duration, metavar="S", help=said["countdown"])
    add("--eta", type=_moment, metavar="ISO", help=said["eta"])
    add("--after", type=_names, default=[], metavar="NAME[,NAME]", action="extend",
        help="start when these runs have ended well; in the cell, each NAME is the result")  # fmt: skip
    add(
        "--every",
        type=_checked(timing.every),
        metavar="TIME",
        help="run it again and again, each time after TIME (15m, 1h)",
    )
    add("--cron", type=_checked(timing.cron), metavar="CRON",
        help='run it whenever a crontab says: "0 6 * * *" is six every morning')  # fmt: skip
    add("--tz", type=_checked(timing.zone_name), metavar="ZONE",
        help="with --cron: the time zone, such as Europe/Berlin; default: this machine's")  # fmt: skip
    add("--keep", action="store_true", help="with --every or --cron: go on when this notebook is closed")
    add("--missed", choices=get_args(Missed), metavar="WHAT",
        help="with --every or --cron, of runs for which nobody was there: skip, latest or all")  # fmt: skip
    add(
        "--overlap",
        action="store_true",
        help="with --every or --cron: begin a run while the one before goes on",
    )
    add(
        "--jitter", type=_duration, metavar="S", help="with --every or --cron: begin up to S later, by chance"
    )
    add("--expires", type=_duration, metavar="S", help=said["expires"])
    add("--rate-limit", type=_checked(_rate), metavar="R",
        help=said["rate_limit"])  # fmt: skip
    add("--seed", type=_checked(_seed), metavar="N",
        help=said["seed"])  # fmt: skip
    add("--memo", action="store_true", help=said["memo"])
    add("--rerun", action="store_true", help=said["rerun"])
    add("--at-once", type=_checked(_places), metavar="N", help=said["max_concurrency"])
    add("--max-parallel", type=count, metavar="N", help=said["max_parallel"])
    add("--chunk", type=_chunk, metavar="N", help="N items per message, or auto")
    add("--on-error", choices=get_args(OnError), metavar="WHAT",
        help=said["on_error"])  # fmt: skip
    add("--dry-run", action="store_true", help="show what would be sent, submit nothing")
    add("--here", action="store_true", help="run in this kernel, by the same path; for debugging")
    add(
        "--again", action="store_true", help="beside the earlier run of this cell, which is not replaced then"
    )
    add("--quiet", action="store_true", help=said["quiet"])
    return parser, actions


PARSER, ACTIONS = _make_parser()
