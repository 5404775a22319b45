"""The command ``nbtasks`` and its subcommands."""

from __future__ import annotations

import click

from . import elsewhere
from .beating import beat
from .calling import calling
from .celerywords import before_commands
from .controlling import control, inspect, status
from .dashboarding import dashboard, metrics, webhook_secret
from .doctor import doctor
from .eventview import events
from .invite import invite
from .listing import listing
from .named import broker_option, config_option, target_option
from .purge import purge
from .report import report
from .value import result
from .worker import worker

_OPTIONS = {"target": "-A", "broker": "-b"}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(None, "-V", "--version", package_name="nbtasks")
@target_option("As in `nbtasks worker -A`, before the command as in Celery.")
@broker_option("As in `nbtasks worker -b`.")
@config_option()
@before_commands
@click.pass_context
def nbtasks(context: click.Context, target: str | None, broker: str | None) -> None:
    """Tasks for notebooks: workers for them, here and on other machines, and a look at the set-up."""
    given = {name: value for name, value in (("target", target), ("broker", broker)) if value is not None}
    command = nbtasks.commands.get(context.invoked_subcommand or "")
    if given and command is not None:
        taken = {option.name for option in command.params}
        for name in given:
            if name not in taken:
                if command.hidden:
                    break
                raise click.UsageError(
                    f"{_OPTIONS[name]} is not an option of `nbtasks {context.invoked_subcommand}`"
                )
        # What is said after the command comes first.
        context.default_map = {str(context.invoked_subcommand): given}


for _command in (
    beat,
    calling,
    control,
    dashboard,
    doctor,
    events,
    inspect,
    invite,
    listing,
    metrics,
    purge,
    report,
    result,
    status,
    webhook_secret,
    worker,
    *elsewhere.COMMANDS,
):
    nbtasks.add_command(_command)
