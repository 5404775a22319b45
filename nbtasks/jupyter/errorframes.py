"""How IPython shows errors of nbtasks: the user's lines up to the one that has asked, and nothing below it."""

from __future__ import annotations

from functools import partial
from typing import Any

from nbtasks.client.border import without_last_own


def shown_by(shell: Any, error: BaseException) -> None:
    """Have an error that ends in frames of nbtasks shown without them."""
    try:
        # What IPython asks an exception for that wants to be shown in its own way.
        error._render_traceback_ = partial(_shown, shell, error)  # type: ignore[attr-defined]
    except AttributeError:
        # It takes no attributes.
        return


def _shown(shell: Any, error: BaseException) -> list[str]:
    tb = without_last_own(error.__traceback__)
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, tb)
    return lines
