"""Words of Celery's command line that mean something here, and what is said to those that do not."""

from __future__ import annotations

from typing import Any

import click

from nbtasks.core.options import LOG_LEVELS, POOLS

_LEVELS = {"warn": "warning", "fatal": "critical"}
_POOLS = {"processes": "prefork"}
_GREEN = {"eventlet", "gevent"}
#: Option -> why it changes nothing.
_NO_MEANING = {
    "--without-gossip": "workers do not gossip",
    "--without-mingle": "workers ask each other nothing when they start",
    "--without-heartbeat": "a lease in the server stands for heartbeats",
    "--events": "what happens is always told",
    "--optimization": "calls go to whoever is free",
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


def without_meaning(command: Any) -> Any:
    """Give a command the options of Celery's that change nothing here; who gives one is told why."""

    def say(_: click.Context, option: click.Parameter, given: Any) -> None:
        if given:
            name = option.opts[-1]
            click.echo(f"nbtasks: {name} changes nothing: {_NO_MEANING[name]}", err=True)

    for name in _NO_MEANING:
        short = {"--events": ("-E",), "--optimization": ("-O",)}.get(name, ())
        command = click.option(
            *short, name, callback=say, hidden=True, expose_value=False, is_flag=name != "--optimization"
        )(command)

    def refuse(_: click.Context, _option: click.Parameter, given: bool) -> None:
        if given:
            raise click.UsageError(
                "-D: a worker stays in the foreground; what runs it in the background is systemd, supervisord or "
                "`nohup`, see docs/guide/deployment.md"
            )

    return click.option("-D", "--detach", callback=refuse, hidden=True, expose_value=False, is_flag=True)(
        command
    )
