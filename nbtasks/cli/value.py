"""``nbtasks result ID``: wait for a call, and print its value."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from .asking import json_option, opened, where_options

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult


@click.command()
@click.argument("id")
@where_options
@click.option(
    "--timeout", metavar="TIME", help="Wait no longer, such as 30s.  [default: as long as it takes]"
)
@click.option(
    "--traceback", is_flag=True, help="Print the traceback of a call that has failed; nothing for others."
)
@click.option(
    "--state",
    is_flag=True,
    help="Print at once where the call is, and what it has told of that; do not wait.",
)
@json_option
def result(
    id: str,
    target: str | None,
    broker: str | None,
    connection_file: str | None,
    namespace: str | None,
    timeout: str | None,
    traceback: bool,
    state: bool,
    as_json: bool,
) -> None:
    """Wait for the call, or the map, with this ID and print its value alone.

    Ends with 1 where nobody knows it, where it has failed, and when TIME is over; with --state only in the
    first case.
    """
    with opened(target, broker, connection_file, namespace) as app:
        handle = _handle(app, id)
        if state:
            _print_state(handle, as_json)
            return
        value = handle.get(timeout=timeout, propagate=False)
        succeeded, text = handle.successful(), _traceback(handle)
        if as_json:
            said = {"id": handle.id, "state": handle.state, "result": value, "traceback": text or None}
            click.echo(json.dumps(said, default=repr))
        elif not succeeded:
            # Where the value is asked for, it alone goes to standard output.
            click.echo(text.rstrip(), err=not traceback)
        elif not traceback:
            click.echo(value)
    sys.exit(0 if succeeded or (traceback and not as_json) else 1)


def _handle(app: App, id: str) -> AsyncResult | GroupResult:
    handles = app.attach(id)
    if len(handles) > 1:
        raise click.ClickException(
            f"{id} is {len(handles)} calls; name one of them: {', '.join(one.id for one in handles[:3])} ..."
        )
    return handles[0]


def _print_state(handle: AsyncResult | GroupResult, as_json: bool) -> None:
    # Here, for every command of ours loads this module, and few need what brings results.
    from nbtasks.client.result import AsyncResult

    info = handle.info if isinstance(handle, AsyncResult) and not handle.ready() else None
    if as_json:
        click.echo(json.dumps({"id": handle.id, "state": handle.state, "info": info}, default=repr))
    else:
        click.echo(handle.state if info is None else f"{handle.state} {info}")


def _traceback(handle: AsyncResult | GroupResult) -> str:
    """Return how a call has failed, or the first call of a map that has; empty where none has."""
    from nbtasks.client.result import AsyncResult

    calls = [handle] if isinstance(handle, AsyncResult) else handle.results
    bad = next((call for call in calls if not call.successful()), None)
    if bad is None:
        return ""
    return bad.traceback or f"call {bad.id} is {bad.state}"
