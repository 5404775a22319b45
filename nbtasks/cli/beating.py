"""``nbtasks beat``: fires periodic tasks, and does nothing else; and what workers say for their project."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import click

from nbtasks.core.errors import NbtasksError
from nbtasks.core.options import LOG_LEVELS

from .celerywords import Level, without_beats_words
from .named import (
    broker_option,
    config_option,
    connection_file_option,
    namespace_option,
    target_option,
)
from .project import connected, project_app

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.local.connection import Connection


@click.command()
@target_option("Module with an App: its broker, and the periodic tasks that it declares.")
@broker_option("Redis or Valkey. Default: the App's, NBTASKS_BROKER, embedded.")
@config_option()
@connection_file_option("File with URL and key, written on another machine.")
@namespace_option()
@click.option(
    "-l",
    "--loglevel",
    type=Level(),
    metavar=f"[{'|'.join(LOG_LEVELS)}]",
    default="info",
    show_default=True,
    help="How much is logged.",
)
@click.option("-f", "--logfile", type=click.Path(dir_okay=False), metavar="FILE", help="File for the log.")
@without_beats_words
def beat(
    target: str | None,
    broker: str | None,
    connection_file: str | None,
    namespace: str | None,
    loglevel: str,
    logfile: str | None,
) -> None:
    """Fire periodic tasks here, in the foreground.

    Workers do that by themselves: a beat is for workers with --no-beat. Any number of both may run: each due time is
    fired once.
    """
    from nbtasks.worker.supervisor.beatprocess import BeatProcess

    try:
        app, _ = project_app(target, broker, connection_file, namespace)
        connection, lease = connected(app, broker, connection_file, namespace)
        try:
            process = BeatProcess(connection, loglevel, logfile)
            code = process.run(lambda: declare(app, connection, target))
        finally:
            if lease is not None:
                lease.close()
    except NbtasksError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(code)


def declare(app: App | None, connection: Connection, target: str | None) -> list[str]:
    """Put the periodic tasks that a project declares, and remove those that it declares no more; returns the names.

    Raises:
        ConfigError: one cannot be a periodic task.
    """
    if app is None:
        return []
    from nbtasks.client.engines.redis.redisengine import RedisEngine

    # Not the App's own: that one goes on for as long as the process does.
    engine = RedisEngine(connection, app.conf.result_expires, app.conf.result_limit, _of_workers(app, target))
    try:
        return app.declared.apply(f"{_module(target)}:{app.name}", engine)
    finally:
        engine.close()


def _of_workers(app: App, target: str | None) -> tuple[str, ...]:
    return (*app.of_workers, *([_module(target)] if target else []))


def _module(target: str | None) -> str:
    if target is None:
        return "settings"
    from .target import find_app

    return find_app(target)[1]


def declare_beside(app: App | None, connection: Connection, target: str | None) -> None:
    """Do the same on a thread, for a worker, which has begun meanwhile."""
    from nbtasks.worker.log import LOGGER

    def run() -> None:
        try:
            names = declare(app, connection, target)
        except Exception as error:  # noqa: BLE001 - what is declared runs a project's code, and the worker goes on
            LOGGER.error("the periodic tasks that are declared could not be put: %s", error)
        else:
            if names:
                LOGGER.info("periodic tasks: %s", ", ".join(names))

    threading.Thread(target=run, name="nbtasks-declare", daemon=True).start()
