"""The command ``nbtasks`` and its subcommands."""

from __future__ import annotations

import click

from .doctor import doctor
from .invite import invite
from .worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(None, "-V", "--version", package_name="nbtasks")
def nbtasks() -> None:
    """Tasks for notebooks: workers for them, here and on other machines, and a look at the set-up."""


nbtasks.add_command(doctor)
nbtasks.add_command(invite)
nbtasks.add_command(worker)
