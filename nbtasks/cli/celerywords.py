"""Words of Celery's command line that mean something here, and what is said to those that do not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nbtasks.core.workeroptions import LOG_LEVELS, POOLS

C = TypeVar("C", bound=Callable[..., Any])

#: Option -> its other names, whether it is a flag, what is said.
_Words = dict[str, tuple[tuple[str, ...], bool, str]]
_LEVELS = {"warn": "warning", "fatal": "critical"}
_POOLS = {"processes": "prefork"}
_GREEN = {"eventlet", "gevent"}
_NO_WAIT = "no call waits behind a long one"
_LEASE = "a lease in the server stands for heartbeats"
#: Option -> its other names, whether it is a flag, why it changes nothing.
_NO_MEANING: _Words = {
    "--without-gossip": ((), True, "workers do not gossip"),
    "--without-mingle": ((), True, "workers ask each other nothing when they start"),
    "--without-heartbeat": ((), True, _LEASE),
    "--events": (("-E",), True, "what happens is always told"),
    "--optimization": (("-O",), False, "calls go to whoever is free"),
    "--disable-prefetch": ((), True, _NO_WAIT),
    "--prefetch-multiplier": ((), False, _NO_WAIT),
    "--heartbeat-interval": ((), False, _LEASE),
    "--statedb": (("-S",), False, "the server knows what is revoked"),
}
_DAEMON = (
    "a worker stays in the foreground; what runs it in the background is systemd, supervisord or `nohup`, see "
    "docs/guide/deployment.md"
)
_BY_SYSTEM = "systemd and supervisord have a word for it, see docs/guide/deployment.md"
_AT_TASK = "say it at the task, @app.task(time_limit=...), or at the call"
#: Option that is refused -> its other names, whether it is a flag, what to do instead.
_REFUSED: _Words = {
    "--detach": (("-D",), True, _DAEMON),
    "--pidfile": ((), False, _BY_SYSTEM),
    "--uid": ((), False, _BY_SYSTEM),
    "--gid": ((), False, _BY_SYSTEM),
    "--umask": ((), False, _BY_SYSTEM),
    "--executable": ((), False, "start the worker with that Python: PYTHON -m nbtasks worker"),
    "--time-limit": ((), False, _AT_TASK),
    "--soft-time-limit": ((), False, _AT_TASK.replace("time_limit", "soft_time_limit")),
    "--purge": (("--discard",), True, "run `nbtasks purge` before you start the worker"),
    "--exclude-queues": (("-X",), False, "name the queues that it serves: -Q"),
    "--include": (("-I",), False, "name the modules in App(include=[...])"),
}
_NO_WORKER = "a beat is no worker, so nobody asks it anything; its log says what it fires"
_IN_SERVER = "what is due, and what has run, is kept in the server"
#: The same of `celery beat`.
_BEATS_NO_MEANING: _Words = {
    "--schedule": (("-s",), False, _IN_SERVER),
    "--scheduler": (("-S",), False, _IN_SERVER),
    "--max-interval": ((), False, "it looks when something is due, and whenever something has changed"),
    "--hostname": (("-n",), False, _NO_WORKER),
    "--enable-remote-control": ((), True, _NO_WORKER),
    "--no-enable-remote-control": ((), True, _NO_WORKER),
}
_BEATS_REFUSED: _Words = {
    "--detach": ((), True, _DAEMON.replace("a worker", "a beat")),
    **{name: _REFUSED[name] for name in ("--pidfile", "--uid", "--gid", "--umask")},
    "--executable": ((), False, "start the beat with that Python: PYTHON -m nbtasks beat"),
}
_CAMERA = "a camera is five lines of Python, `for state in app.events().snapshots(every=...)`, see docs/guide/events.md"
#: And of `celery events`.
_EVENTS_NO_MEANING: _Words = {"--loglevel": (("-l",), False, "what it prints is events, and no log")}
_EVENTS_REFUSED: _Words = {
    "--camera": (("-c",), False, _CAMERA),
    "--frequency": (("-F", "--freq"), False, _CAMERA),
    "--maxrate": (("-r",), False, _CAMERA),
    "--logfile": (("-f",), False, "send the output into a file: nbtasks events --dump > FILE"),
    "--detach": ((), True, _DAEMON.replace("a worker", "it")),
    **{name: _REFUSED[name] for name in ("--pidfile", "--uid", "--gid", "--umask")},
    "--executable": ((), False, "start it with that Python: PYTHON -m nbtasks events"),
}


class Level(click.ParamType[str]):
    """A level of the log: a name in any case, Celery's short ones too, or logging's number."""

    name = "level"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as nbtasks calls it."""
        text = str(value).lower()
        if text.isdigit() and int(text) % 10 == 0 and 10 <= int(text) <= 50:
            return str(LOG_LEVELS[int(text) // 10 - 1])
        level = _LEVELS.get(text, text)
        if level not in LOG_LEVELS:
            self.fail(f"{value!r} is not one of {', '.join(LOG_LEVELS)}", param, ctx)
        return level


def loglevel_option(text: str) -> Callable[[C], C]:
    """Return the option ``-l``."""
    return click.option(
        "-l",
        "--loglevel",
        type=Level(),
        metavar=f"[{'|'.join(LOG_LEVELS)}]",
        default="info",
        show_default=True,
        help=text,
    )


class PoolKind(click.ParamType[str]):
    """A kind of children."""

    name = "pool"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as nbtasks calls it."""
        pool = _POOLS.get(str(value), str(value))
        if pool in _GREEN:
            self.fail(
                f"{pool} is not there: for many calls that wait at once write the task as `async def`, "
                "or take --pool threads",
                param,
                ctx,
            )
        if pool not in POOLS:
            self.fail(f"{value!r} is not one of {', '.join(POOLS)}", param, ctx)
        return pool


class Bounds(click.ParamType[tuple[int, int]]):
    """Most and least children: ``MAX,MIN``, or ``MAX`` alone with one child at least."""

    name = "bounds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return both."""
        if isinstance(value, tuple):
            return value
        most, _, least = (part.strip() for part in str(value).partition(","))
        if not (most.isdigit() and (least or "1").isdigit()) or not 1 <= int(least or 1) <= int(most):
            self.fail(f"{value!r} is not MAX,MIN, such as 10,3: the most children first", param, ctx)
        return int(most), int(least or 1)


def before_commands(command: Any) -> Any:
    """Give the program itself the options of Celery's that stand before commands: ``--workdir``, ``-q``, ``-C``."""
    quiet = ("-q", "--quiet", "there is nothing to leave out")
    for short, name, why in (
        quiet,
        ("-C", "--no-color", "what is written has no colours where nobody looks"),
    ):
        command = click.option(short, name, is_flag=True, hidden=True, expose_value=False, help=why)(command)
    return click.option(
        "--workdir",
        type=click.Path(exists=True, file_okay=False),
        callback=_go_there,
        expose_value=False,
        is_eager=True,
        metavar="FOLDER",
        help="Folder to work in: modules and the embedded server are looked for there.",
    )(command)


def _go_there(_context: click.Context, _option: click.Parameter, folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def without_meaning(command: Any) -> Any:
    """Give a command the options of Celery's worker that it has not; who gives one is told why, or what to do instead.

    Some of them are those of its embedded beat.
    """
    of_beat: _Words = {
        "--schedule-filename": (("-s", "--schedule"), False, _IN_SERVER),
        "--scheduler": ((), False, _IN_SERVER),
    }
    return _without(command, {**_NO_MEANING, **of_beat}, _REFUSED)


def without_beats_words(command: Any) -> Any:
    """Do the same with those of its beat."""
    return _without(command, _BEATS_NO_MEANING, _BEATS_REFUSED)


def without_events_words(command: Any) -> Any:
    """Do the same with those of its view of events."""
    return _without(command, _EVENTS_NO_MEANING, _EVENTS_REFUSED)


def _without(command: Any, no_meaning: _Words, refused: _Words) -> Any:
    def say(_: click.Context, option: click.Parameter, given: Any) -> None:
        if given:
            why = no_meaning[option.opts[-1]][2]
            click.echo(f"nbtasks: {'/'.join(option.opts)} changes nothing: {why}", err=True)

    def refuse(_: click.Context, option: click.Parameter, given: Any) -> None:
        if given:
            raise click.UsageError(f"{'/'.join(option.opts)}: {refused[option.opts[-1]][2]}")

    for table, answer in ((no_meaning, say), (refused, refuse)):
        for name, (others, is_flag, _) in table.items():
            command = click.option(
                *others, name, callback=answer, hidden=True, expose_value=False, is_flag=is_flag
            )(command)
    return command
