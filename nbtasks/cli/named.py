"""Options that name something: an empty one names nothing, and must not mean the default in silence."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nbtasks.core.errors import ConfigError
from nbtasks.core.nodenames import node_name
from nbtasks.local.connection import CONFIG_VARIABLE

C = TypeVar("C", bound=Callable[..., Any])


def named(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the value of an option; refuse the empty text that a shell puts in the place of a variable.

    Raises:
        click.BadParameter: there is nothing in it.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: is a variable not set? Leave the option out for the default")
    return value


def node_named(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return a worker's name as it is given; refuse one with letters that stand for nothing."""
    text = named(context, option, value)
    try:
        if text is not None:
            node_name(text)
    except ConfigError as error:
        raise click.BadParameter(str(error).partition(": ")[2]) from None
    return text


#: What is said of a broker's URL, where an App without arguments takes its place.
_BROKER = "URL of Redis, Valkey, an SQL database ...  [default: as an App without arguments]"


def broker_option(text: str = _BROKER) -> Callable[[C], C]:
    """Return the option ``-b``: a broker's URL."""
    return click.option("-b", "--broker", callback=named, metavar="URL", help=text)


def target_option(text: str) -> Callable[[C], C]:
    """Return the option ``-A``: a module with an App."""
    return click.option("-A", "--app", "target", callback=named, metavar="MODULE[:APP]", help=text)


def config_option() -> Callable[[C], C]:
    """Return the option ``--config``: a module with settings, which every App of this process reads."""
    return click.option(
        "--config",
        callback=_read_by_apps,
        expose_value=False,
        is_eager=True,
        metavar="MODULE",
        help="Module with settings, such as celeryconfig.  [default: NBTASKS_CONFIG_MODULE]",
    )


def _read_by_apps(context: click.Context, option: click.Parameter, value: str | None) -> None:
    found = named(context, option, value)
    if found is not None:
        os.environ[CONFIG_VARIABLE] = found


def connection_file_option(text: str) -> Callable[[C], C]:
    """Return the option ``--connection-file``."""
    return click.option("--connection-file", callback=named, metavar="FILE", help=text)


def namespace_option() -> Callable[[C], C]:
    """Return the option ``--namespace``."""
    return click.option(
        "--namespace", callback=named, metavar="NAME", help="Namespace of the calls.  [default: nbtasks]"
    )


def place_options(target: str, broker: str = _BROKER) -> Callable[[C], C]:
    """Return all options that say which App, or which server.

    Args:
        target: what a module with an App is for.
        broker: what is said of a broker's URL.
    """

    def give(command: C) -> C:
        for option in (
            namespace_option(),
            connection_file_option("File with URL and key, written on another machine."),
            config_option(),
            broker_option(broker),
            target_option(target),
        ):
            command = option(command)
        return command

    return give
