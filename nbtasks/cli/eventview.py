"""``nbtasks events``: what happens to calls and workers, as it comes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from nbtasks.core import happenings as words
from nbtasks.core.errors import ConfigError, OperationalError
from nbtasks.core.plaintext import on_one_line

from .asking import opened, where_options
from .celerywords import without_events_words
from .inuse import NotInUse

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nbtasks.client.happened.event import Event
    from nbtasks.client.happened.eventstate import EventState
    from nbtasks.client.happened.eventstream import EventStream

#: Exit code where there is no server, as Celery has it.
_NOBODY = 69
#: Events that are drawn, tasks that are, and seconds between two drawings.
_MOST_SHOWN, _MOST_TASKS, _DRAW_S = 20, 15, 0.25
_COLOURS = {
    words.SUCCEEDED: "green",
    words.FAILED: "red",
    words.REJECTED: "red",
    words.RETRIED: "yellow",
    words.REVOKED: "yellow",
    words.REDELIVERED: "yellow",
    words.OFFLINE: "red",
    words.ONLINE: "green",
    words.MISSED: "red",
}
#: What a task's row counts, and what it is called there.
_COLUMNS = {
    "sent": words.SENT,
    "started": words.STARTED,
    "succeeded": words.SUCCEEDED,
    "failed": words.FAILED,
    "retried": words.RETRIED,
    "revoked": words.REVOKED,
}


@click.command()
@click.option("-d", "--dump", is_flag=True, help="Print an object of JSON a line, for programs.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only these, such as task-failed; or task, worker."
)
@click.option(
    "--task", metavar="NAME", help="Only calls of this task, or of those that match, such as 'shop.*'."
)
@click.option(
    "--since", metavar="WHEN", help="Begin with what has happened: start, or so long ago, such as 10m."
)
@click.option("--timeout", type=float, metavar="SECONDS", help="End when nothing has happened for so long.")
@where_options
@without_events_words
def events(
    dump: bool,
    types: tuple[str, ...],
    task: str | None,
    since: str | None,
    timeout: float | None,
    **where: Any,
) -> None:
    """Show what happens to calls and workers, until Ctrl-C.

    In a terminal it draws counts and the last events; elsewhere each event is a line.
    """
    try:
        with opened(where["target"], where["broker"], where["connection_file"], where["namespace"]) as app:
            try:
                stream = app.events(types or None, task=task, since=since, timeout=timeout)
            except ConfigError as error:
                raise click.UsageError(str(error)) from error
            with stream, contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
                if dump:
                    _dump(stream)
                elif sys.stdout.isatty():
                    _draw(stream, timeout)
                else:
                    _list(stream)
    except click.ClickException as error:
        if isinstance(error.__cause__, (NotInUse, OperationalError)):
            click.echo(f"Error: {error.message}", err=True)
            sys.exit(_NOBODY)
        raise
    finally:
        _close_output()


def _close_output() -> None:
    """Let who reads the output go away, as `head` does."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _dump(stream: EventStream) -> None:
    for event in stream:
        sys.stdout.write(json.dumps(event.to_dict()) + "\n")
        sys.stdout.flush()


def _list(stream: EventStream) -> None:
    for event in stream:
        click.echo(line_of(event))


def line_of(event: Event) -> str:
    """Return an event as a line of text."""
    moment = time.strftime("%H:%M:%S", time.localtime(event.timestamp))
    said = f"{moment}.{int(event.timestamp % 1 * 1000):03d}  {event.type:18}"
    if event.type == words.MISSED:
        return f"{said}{event.missed:,} entries were trimmed before they were read"
    if event.batch is None:
        return f"{said}{on_one_line(event.hostname)}" + (
            f": {on_one_line(event.reason)}" if event.reason else ""
        )
    calls = f" and {event.count - 1:,} more" if event.count > 1 else ""
    said += f"{on_one_line(event.name or '?')}[{on_one_line(event.uuid or '')}]{calls}"
    if event.type != words.SENT:
        said += f" on {on_one_line(event.hostname)}"
    if event.runtime is not None:
        said += f" in {event.runtime:.3g} s"
    if event.attempt and event.attempt > 1:
        said += f", try {event.attempt}"
    for more in (event.exception, event.message):
        said += f": {on_one_line(more)}" if more else ""
    return said


# -- in a terminal


def _draw(stream: EventStream, timeout: float | None) -> None:
    """Draw counts and the last events, again and again."""
    from rich.console import Console
    from rich.live import Live

    from nbtasks.client.happened.eventstate import EventState

    state, last = EventState(most_calls=1), deque[str](maxlen=_MOST_SHOWN)
    with Live(console=Console(), auto_refresh=False) as live:
        for batch in _batches(stream, timeout):
            for event in batch:
                state.event(event)
                if event.type != words.HEARTBEAT:
                    last.append(_marked(event))
            live.update(_picture(state, last), refresh=True)


def _batches(stream: EventStream, timeout: float | None) -> Iterator[list[Event]]:
    """Yield what has come, four times a second."""
    heard = time.monotonic()
    while True:
        began = time.monotonic()
        batch = stream.next_batch(_DRAW_S)
        while stream.is_behind and time.monotonic() - began < _DRAW_S:
            batch += stream.next_batch(0)
        heard = began if batch or stream.is_behind else heard
        yield batch
        if timeout is not None and time.monotonic() - heard >= timeout:
            return
        if not stream.is_behind:
            time.sleep(max(0.0, began + _DRAW_S - time.monotonic()))


def _marked(event: Event) -> str:
    from rich.markup import escape

    colour, text = _COLOURS.get(event.type), escape(line_of(event))
    return f"[{colour}]{text}[/]" if colour else text


def _picture(state: EventState, last: deque[str]) -> RenderableType:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    busiest = sorted(state.totals, key=lambda name: -sum(state.totals[name].values()))
    for name in busiest[:_MOST_TASKS]:
        counts = state.totals[name]
        table.add_row(escape(on_one_line(name, 60)), *(f"{counts[type_]:,}" for type_ in _COLUMNS.values()))
    if len(busiest) > _MOST_TASKS:
        table.add_row(f"and {len(busiest) - _MOST_TASKS:,} more")
    workers = ", ".join(
        f"{on_one_line(name)} ({facts.get('active', 0)} busy)"
        for name, facts in sorted(state.workers.items())
    )
    head = Text(f"workers: {workers or 'none heard of yet'}")
    missed = [Text(f"{state.missed:,} entries were missed", style="red")] if state.missed else []
    lines = [Text.from_markup(line, overflow="ellipsis") for line in last]
    for line in lines:
        line.no_wrap = True
    return Group(head, *missed, Text(""), table, Text(""), *lines, Text("Ctrl-C ends this.", style="dim"))
