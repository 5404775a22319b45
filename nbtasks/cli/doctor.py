"""``nbtasks doctor``: what is wrong with a set-up, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable

import click

from .asking import json_option
from .findings import NOTE, OK, PROBLEM, Finding, examine
from .named import broker_option, connection_file_option

_COLOURS = {OK: "green", NOTE: "yellow", PROBLEM: "bold red"}


@click.command()
@broker_option()
@connection_file_option("File with URL and key, from another machine.")
@json_option
def doctor(broker: str | None, connection_file: str | None, as_json: bool) -> None:
    """Look at the set-up, line by line, and say what to do. Ends with 1 where something is wrong."""
    if as_json:
        found = list(examine(broker, connection_file))
        click.echo(json.dumps([dataclasses.asdict(one) for one in found]))
        sys.exit(1 if any(one.status == PROBLEM for one in found) else 0)
    problems = report(examine(broker, connection_file))
    if problems:
        click.echo(f"\n{problems} problem{'s' if problems > 1 else ''} found.")
        sys.exit(1)
    click.echo("\nNo problem found.")


def report(findings: Iterable[Finding]) -> int:
    """Print each finding as it comes; return how many are problems."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        # A file is searched and copied from: no line breaks in the middle of a path.
        console.width = 10_000
    problems = 0
    for finding in findings:
        problems += finding.status == PROBLEM
        lines = Table.grid(padding=(0, 1))
        lines.add_column(width=7, style=_COLOURS[finding.status])
        lines.add_column(width=16)
        lines.add_column(overflow="fold")
        lines.add_row(finding.status, finding.what, escape(finding.found))
        if finding.fix:
            lines.add_row("", "", escape(finding.fix))
        console.print(lines)
    return problems
