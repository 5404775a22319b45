"""``nbtasks dashboard``: what a namespace does, as a web page; and ``nbtasks metrics``, the same for Prometheus."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nbtasks.core.errors import ConfigError, NbtasksError

from .asking import opened, where_options

if TYPE_CHECKING:
    from nbtasks.web.serving import Listening

C = TypeVar("C", bound=Callable[..., Any])

TOKEN_VARIABLE = "NBTASKS_DASHBOARD_TOKEN"  # noqa: S105 - that is its name
_MISSING = "{what} needs libraries that are not installed ({name}): pip install 'nbtasks[dashboard]'"


def _listening_options(port: int | None) -> Callable[[C], C]:
    options: tuple[Callable[[C], C], ...] = (
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=port,
            show_default=port is not None,
            help="Port, 0 for any that is free.",
        ),
        click.option("--certfile", metavar="FILE", help="Certificate, for TLS."),
        click.option("--keyfile", metavar="FILE", help="Its key, where that is in a file of its own."),
        click.option(
            "--token",
            metavar="TEXT",
            help=f"Token; others see it in the list of processes. Better: {TOKEN_VARIABLE}, or --token-file.",
        ),
        click.option(
            "--token-file", metavar="FILE", help="File with the token; it is made where it is not there."
        ),
    )

    def give(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return give


@click.command()
@where_options
@_listening_options(5555)
@click.option("--url-prefix", default="", metavar="PATH", help="Of all paths, behind a reverse proxy.")
@click.option(
    "--public-url", default="", metavar="URL", help="Under which a reverse proxy shows it, prefix included."
)
@click.option("--read-only", is_flag=True, help="Show everything, and do nothing.")
@click.option(
    "--webhooks-to",
    multiple=True,
    metavar="URL",
    help="Beginning of URLs that may be called when tasks end that were called over HTTP; may be repeated.",
)
def dashboard(
    target: str | None,
    broker: str | None,
    connection_file: str | None,
    namespace: str | None,
    url_prefix: str,
    public_url: str,
    read_only: bool,
    webhooks_to: tuple[str, ...],
    **given: Any,
) -> None:
    """Show what happens, and act: a web page for everyone with the URL that this prints, which has a token in it."""
    with _libraries("the dashboard"):
        from nbtasks.web.admission import new_token
        from nbtasks.web.serving import Listening, serve_dashboard
    try:
        where = Listening(
            given["host"], given["port"], url_prefix, public_url, given["certfile"], given["keyfile"]
        ).checked()
        token = _token(given) or new_token()
        _warn_of_readers(where)
        with opened(target, broker, connection_file, namespace) as app:
            serve_dashboard(app, token, where, lambda url: _print_url(url, token), read_only, webhooks_to)
    except NbtasksError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@where_options
@_listening_options(None)
def metrics(
    target: str | None,
    broker: str | None,
    connection_file: str | None,
    namespace: str | None,
    **given: Any,
) -> None:
    """Print figures for Prometheus once; with --port serve them at /metrics.

    On other addresses than this machine's own, and wherever one is given, a token is asked for.
    """
    with _libraries("metrics"):
        from nbtasks.web.metricserver import metrics_once, serve_metrics
        from nbtasks.web.serving import Listening
    try:
        with opened(target, broker, connection_file, namespace) as app:
            if given["port"] is None:
                click.echo(metrics_once(app), nl=False)
                return
            where = Listening(
                given["host"], given["port"], certfile=given["certfile"], keyfile=given["keyfile"]
            ).checked()
            token = _token(given)
            if token is None and not where.is_loopback:
                raise ConfigError(
                    f"--host {where.host}: others reach that, so give a token: --token-file FILE"
                )
            _warn_of_readers(where)
            serve_metrics(app, token, where, lambda url: click.echo(f"{url}metrics"))
    except NbtasksError as error:
        raise click.ClickException(str(error)) from error


@click.command("webhook-secret")
@where_options
def webhook_secret(
    target: str | None, broker: str | None, connection_file: str | None, namespace: str | None
) -> None:
    """Print what webhooks of this namespace are signed with, for who receives them."""
    from nbtasks.client import calledurls

    with opened(target, broker, connection_file, namespace) as app:
        click.echo(calledurls.webhook_secret(app.connection))


@contextlib.contextmanager
def _libraries(what: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "nbtasks":
            raise
        raise click.ClickException(_MISSING.format(what=what, name=error.name)) from None


def _token(given: dict[str, Any]) -> str | None:
    """Return the token that was given, or that a file has; None where there is none."""
    from nbtasks.web.admission import check_token

    if given["token"] is not None:
        return check_token(given["token"], "--token")
    if given["token_file"]:
        return check_token(_in_file(Path(given["token_file"])), f"--token-file {given['token_file']}")
    if os.environ.get(TOKEN_VARIABLE):
        return check_token(os.environ[TOKEN_VARIABLE], TOKEN_VARIABLE)
    return None


def _in_file(path: Path) -> str:
    from nbtasks.web.admission import new_token

    try:
        with contextlib.suppress(FileExistsError):
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as file:
                file.write(new_token() + "\n")
        status = path.stat()
        if status.st_mode & 0o077:
            raise ConfigError(f"--token-file: others can read {path}; chmod 600 {path}")
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file: {path} cannot be read: {error}") from error


def _print_url(url: str, token: str) -> None:
    click.echo(f"{url}?token={token}")


def _warn_of_readers(where: Listening) -> None:
    if not (where.is_loopback or where.is_secure):
        click.echo(
            f"nbtasks: on {where.host} without TLS the token and all that is shown can be read on the way; give "
            "--certfile and --keyfile, or put a proxy with TLS before it",
            err=True,
        )
