"""``nbtasks invite``: how workers on other machines join."""

from __future__ import annotations

import click

from nbtasks.core.errors import NbtasksError

from .inuse import check_in_use
from .named import broker_option, named, namespace_option


@click.command()
@broker_option()
@namespace_option()
@click.option(
    "--listen",
    is_flag=False,
    flag_value="0.0.0.0:0",
    metavar="[HOST:PORT]",
    help="Have the embedded server of this folder listen, with TLS and a password.",
)
@click.option(
    "--host", callback=named, metavar="NAME", help="This machine's name in the network, with --listen."
)
@click.option(
    "--file",
    callback=named,
    metavar="FILE",
    help="Connection file to write.  [default: nbtasks-connection.json]",
)
@click.option("--show", is_flag=True, help="Show one line with the key in it, and write no file.")
def invite(
    broker: str | None,
    namespace: str | None,
    listen: str | None,
    host: str | None,
    file: str | None,
    show: bool,
) -> None:
    """Say how workers on other machines join."""
    from nbtasks.client.app import App

    try:
        check_in_use(broker)
        with App("invite", broker=broker, namespace=namespace) as app:
            click.echo(str(app.invite(listen=listen or False, host=host, file=file, show=show)))
    except NbtasksError as error:
        raise click.ClickException(str(error)) from error
