"""The App of a project, and where its calls go: what ``nbtasks worker`` and ``nbtasks beat`` are for."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nbtasks.core.errors import BrokerUnavailable
from nbtasks.local.connection import CONFIG_VARIABLE, divided, with_master
from nbtasks.local.processes.preloading import set_up_django

from .named import place_options

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.local.connection import Connection
    from nbtasks.local.server.embeddedlease import EmbeddedLease

C = TypeVar("C", bound=Callable[..., Any])


def project_options(target: str) -> Callable[[C], C]:
    """Give a command the options that name a project and its broker.

    Args:
        target: what a module with an App is for.
    """
    return place_options(
        target,
        "As of App(broker=); RabbitMQ with NBTASKS_BACKEND. Default: the App's, NBTASKS_BROKER, embedded.",
    )


def project_app(
    target: str | None, broker: str | None, file: str | None, namespace: str | None
) -> tuple[App | None, tuple[str, ...]]:
    """Return the App that is named, and the modules that its workers import; no App where nothing names settings."""
    if broker:
        # An App that names no server would otherwise start the embedded one.
        os.environ["NBTASKS_BROKER"] = broker
    if target:
        from .target import find_app

        app, module = find_app(target)
        # It says where the project's tasks are.
        set_up_django()
        return app, (*app.include, module)
    if not os.environ.get(CONFIG_VARIABLE):
        return None, ()
    from nbtasks.client.app import App

    app = App("worker", broker=broker, connection_file=file, namespace=namespace)
    return app, app.include


def connected(
    app: App | None, broker: str | None, file: str | None, namespace: str | None
) -> tuple[Connection, EmbeddedLease | None]:
    """Return where calls go, and what keeps the embedded server up where that is it; options count before the App."""
    connection, lease = _resolved(app, broker, file, namespace)
    if broker:
        url, carrier = _of_option(broker, app)
        connection = dataclasses.replace(connection, url=url, carrier=carrier, source="-b")
    if namespace:
        connection = dataclasses.replace(connection, namespace=namespace)
    return connection, lease


def _of_option(broker: str, app: App | None) -> tuple[str, str]:
    """Return what ``-b`` names, as :func:`divided` does, with what the App's settings say besides."""
    if app is None:
        return divided(broker)
    return divided(with_master(broker, app.conf.broker_transport_options), app.conf.result_backend)


def _resolved(
    app: App | None, broker: str | None, file: str | None, namespace: str | None
) -> tuple[Connection, EmbeddedLease | None]:
    from nbtasks.client.conf.unread import unread
    from nbtasks.local.connection import read_connection_file, resolve

    if file:
        return read_connection_file(file), None
    if app is None:
        connection, lease = resolve(broker, namespace=namespace)
        for sentence in unread(connection, frozenset()):
            click.echo(f"nbtasks: {sentence}", err=True)
        return connection, lease
    if not broker:
        # Starts the embedded server; any other one is waited for by the worker.
        with contextlib.suppress(BrokerUnavailable):
            app.check()
    return app.connection, None
