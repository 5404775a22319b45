"""``nbtasks beat``: fires periodic tasks, and does nothing else; and what workers say for their project."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import click

from nbtasks.core.errors import NbtasksError, OperationalError

from .celerywords import loglevel_option, without_beats_words
from .project import connected, project_app, project_options

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.local.connection import Connection


@click.command()
@project_options("Module with an App: its broker, and the periodic tasks that it declares.")
@loglevel_option("How much is logged.")
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
            code = process.run(lambda: _declare_for_good(app, connection, target))
        finally:
            if lease is not None:
                lease.close()
    except NbtasksError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(code)


def _declare_for_good(app: App | None, connection: Connection, target: str | None) -> list[str]:
    """Do as :func:`declare`, and again where the broker is emptied while this process is there."""
    names = declare(app, connection, target)
    if names:
        watch = partial(_declare_again, app, connection, target)
        threading.Thread(target=watch, name="nbtasks-declared", daemon=True).start()
    return names


def _declare_again(app: App | None, connection: Connection, target: str | None) -> None:
    from nbtasks.broker.legs import open_leg
    from nbtasks.client.engines.brokered.presence import SAY_S, Presence
    from nbtasks.core.ids import new_id
    from nbtasks.wire.signing import Keyring
    from nbtasks.worker.log import LOGGER, log_trouble

    store = open_leg(connection).line().periodic_store(Keyring(connection.keys).id)
    presence, lost = Presence(store, new_id()), False
    while True:
        try:
            lost = presence.say() or lost
            if lost:
                if declare(app, connection, target, where_none_is=True):
                    LOGGER.warning("periodic tasks are declared again, for the broker has lost them")
                lost = False
        except OperationalError as error:
            log_trouble("it is looked later whether the broker has what is declared", error)
        except Exception as error:  # noqa: BLE001 - as in declare_beside
            LOGGER.error("the periodic tasks that are declared could not be put again: %s", error)
            lost = False
        time.sleep(SAY_S)


def declare(
    app: App | None, connection: Connection, target: str | None, where_none_is: bool = False
) -> list[str]:
    """Put the periodic tasks that a project declares, and remove those that it declares no more; returns the names.

    Args:
        where_none_is: not where some of them are there, put by whomever.

    Raises:
        ConfigError: one cannot be a periodic task.
    """
    if app is None:
        return []
    from nbtasks.client.engines.brokered.brokeredengine import BrokeredEngine

    owner = f"{_module(target)}:{app.name}"
    # Not the App's own: that one goes on for as long as the process does.
    engine = BrokeredEngine(
        connection, app.conf.result_expires, app.conf.result_limit, _of_workers(app, target)
    )
    try:
        if where_none_is and any(facts.owner == owner for facts in engine.periodics.all()):
            return []
        return app.declared.apply(owner, engine)
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
            names = _declare_for_good(app, connection, target)
        except Exception as error:  # noqa: BLE001 - what is declared runs a project's code, and the worker goes on
            LOGGER.error("the periodic tasks that are declared could not be put: %s", error)
        else:
            if names:
                LOGGER.info("periodic tasks: %s", ", ".join(names))

    threading.Thread(target=run, name="nbtasks-declare", daemon=True).start()
