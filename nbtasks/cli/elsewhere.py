"""Commands of Celery's that something else does better than this program could."""

from __future__ import annotations

import click

_INSTEAD = {
    "multi": (
        "start one worker with -c N, or several in the background under systemd or supervisord: the page on deployment "
        "has files for both (docs/guide/deployment.md)"
    ),
    "shell": "open Python, or a notebook, and import your module",
    "upgrade": "the settings of Celery's older versions are taken as they are",
    "migrate": "calls of another broker are not moved; let its workers finish them",
    "logtool": "search the log with the tools that you have; a call's own log is in its handle: r.stdout, r.stderr",
    "amqp": "there is no AMQP; `nbtasks list` shows the queues",
}


def _command(name: str, instead: str) -> click.Command:
    @click.command(
        name, hidden=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )
    def command() -> None:
        raise click.UsageError(f"`nbtasks {name}` is not there as in Celery: {instead}")

    return command


#: Hidden: who types them is told what to do instead.
COMMANDS = [_command(name, instead) for name, instead in _INSTEAD.items()]
