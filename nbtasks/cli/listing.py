"""``nbtasks list``: queues, what waits in them, who serves them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from nbtasks.core.plaintext import on_one_line

from .asking import json_option, opened, where_options

if TYPE_CHECKING:
    from nbtasks.client.app import App


@click.command("list")
@click.argument(
    "what",
    type=click.Choice(["queues", "bindings"]),
    default="queues",
    required=False,
    expose_value=False,
)
@where_options
@json_option
def listing(
    target: str | None,
    broker: str | None,
    connection_file: str | None,
    namespace: str | None,
    as_json: bool,
) -> None:
    """List the queues: calls that have not ended, and the workers that serve them.

    `bindings` is Celery's word; there are no exchanges here, so they are the queues.
    """
    with opened(target, broker, connection_file, namespace) as app:
        rows = _queues(app)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        workers = ", ".join(map(on_one_line, row["workers"])) or "no worker"
        click.echo(f"{row['queue']}: {row['unfinished']:,} not ended; {workers}")
    if not rows:
        click.echo("There are no queues: nothing goes on, and no worker is there.")


def _queues(app: App) -> list[dict[str, Any]]:
    unfinished: dict[str, int] = {}
    for one in app.engine.unfinished():
        unfinished[one.label.queue] = unfinished.get(one.label.queue, 0) + one.left
    workers: dict[str, list[str]] = {}
    for worker in app.workers():
        for queue in worker.queues:
            workers.setdefault(queue, []).append(worker.name)
    return [
        {"queue": name, "unfinished": unfinished.get(name, 0), "workers": sorted(workers.get(name, []))}
        for name in sorted({*unfinished, *workers})
    ]
