"""The App that a command asks, for a moment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nbtasks.core.errors import NbtasksError

from .inuse import check_in_use
from .named import place_options

if TYPE_CHECKING:
    from nbtasks.client.app import App

C = TypeVar("C", bound=Callable[..., Any])


def where_options(command: C) -> C:
    """Give a command the options that say which App, or which server, it asks."""
    return place_options("Module with an App: its broker.")(command)


def json_option(command: C) -> C:
    """Give a command ``--json``."""
    option: Callable[[C], C] = click.option(
        "-j", "--json", "as_json", is_flag=True, help="Print JSON, for programs."
    )
    return option(command)


@contextlib.contextmanager
def opened(
    target: str | None, broker: str | None, connection_file: str | None, namespace: str | None
) -> Iterator[App]:
    """Open the App that is named, or one for the server that is named; what goes wrong is said in one sentence.

    Raises:
        click.ClickException: there is no such App, or no such server.
    """
    from nbtasks.client.app import App

    try:
        if target:
            from .target import find_app

            if broker:
                os.environ["NBTASKS_BROKER"] = broker
            app = find_app(target)[0]
            if app.known_home is None:
                check_in_use(broker)
        else:
            if not connection_file:
                check_in_use(broker)
            app = App("shell", broker=broker, connection_file=connection_file, namespace=namespace)
        with app:
            yield app
    except NbtasksError as error:
        raise click.ClickException(str(error)) from error
