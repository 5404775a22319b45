"""``nbtasks purge``: end what waits."""

from __future__ import annotations

import json

import click

from .asking import json_option, opened, where_options


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


@click.command()
@where_options
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-Q", "--queues", metavar="Q1,Q2", help="Only these queues.  [default: all]")
@click.option("-X", "--exclude-queues", metavar="Q1,Q2", help="All queues but these.")
@json_option
def purge(
    target: str | None,
    broker: str | None,
    connection_file: str | None,
    namespace: str | None,
    force: bool,
    queues: str | None,
    exclude_queues: str | None,
    as_json: bool,
) -> None:
    """Revoke all calls that wait and have not been started, for good. What runs goes on."""
    from nbtasks.client.purging import purge, waiting

    with opened(target, broker, connection_file, namespace) as app:
        found = waiting(app, _names(queues) or None, _names(exclude_queues))
        named = sorted({one.label.queue for one in found})
        if found and not force:
            calls = sum(one.left for one in found)
            click.confirm(
                f"Revoke up to {calls:,} calls in {', '.join(named)}? Nobody can take that back",
                abort=True,
                err=as_json,
            )
        count = purge(app, found)
    if as_json:
        click.echo(json.dumps({"purged": count, "queues": named}))
        return
    where = f" from {', '.join(named)}" if named else ""
    click.echo(f"{count:,} call{'' if count == 1 else 's'} purged{where}." if count else "No calls purged.")
