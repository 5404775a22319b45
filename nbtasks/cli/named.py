"""Options that name something: an empty one names nothing, and must not mean the default in silence."""

from __future__ import annotations

import click


def named(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the value of an option; refuse the empty text that a shell puts in the place of a variable.

    Raises:
        click.BadParameter: there is nothing in it.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: is a variable not set? Leave the option out for the default")
    return value
