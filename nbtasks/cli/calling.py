"""``nbtasks call NAME``: submit a call, and print its id."""

from __future__ import annotations

import json
from typing import Any

import click

from .asking import json_option, opened, where_options

_OPTIONS = ("queue", "priority", "countdown", "eta", "expires")


class Json(click.ParamType[Any]):
    """A list or an object in JSON."""

    name = "json"

    def __init__(self, kind: type, called: str) -> None:
        self._kind, self._called = kind, called

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what it says."""
        if isinstance(value, self._kind):
            return value
        try:
            said = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is no JSON: {error}", param, ctx)
        if not isinstance(said, self._kind):
            self.fail(f"{value!r} is not {self._called} in JSON", param, ctx)
        return said


@click.command("call")
@click.argument("name")
@where_options
@click.option(
    "-a", "--args", type=Json(list, "a list"), metavar="JSON", help="Positional arguments: '[2, 3]'."
)
@click.option(
    "-k", "--kwargs", type=Json(dict, "an object"), metavar="JSON", help="Arguments by name: '{\"x\": 2}'."
)
@click.option("--queue", metavar="NAME", help="Queue that it is sent to.")
@click.option("--priority", metavar="N", help="low, normal, high or 0-9.")
@click.option("--countdown", metavar="TIME", help="Start after this time at the earliest.")
@click.option("--eta", metavar="MOMENT", help="Start at this moment at the earliest, in ISO 8601.")
@click.option("--expires", metavar="TIME|MOMENT", help="Do not start it any more from then on.")
@json_option
def calling(
    name: str,
    target: str | None,
    broker: str | None,
    connection_file: str | None,
    namespace: str | None,
    args: list[Any] | None,
    kwargs: dict[str, Any] | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Submit a call of the task NAME, such as proj.tasks.add, and print its id alone."""
    options: dict[str, Any] = {option: given[option] for option in _OPTIONS if given[option] is not None}
    for option in ("countdown", "expires"):
        # Celery's users write bare seconds.
        if option in options and options[option].replace(".", "", 1).isdigit():
            options[option] = float(options[option])
    with opened(target, broker, connection_file, namespace) as app:
        try:
            id = app.send_task(name, args, kwargs, **options).id
        except TypeError as error:
            # The task is known here, and takes other arguments.
            raise click.ClickException(str(error)) from error
    click.echo(json.dumps({"id": id, "name": name}) if as_json else id)
