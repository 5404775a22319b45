"""How IPython shows errors of nbtasks and of tasks: the user's lines, with the failing expression marked."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import Any

from nbtasks.client.border import without_last_own
from nbtasks.core.shownlines import show_under


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


def name_of_cell(shell: Any, file: str) -> str:
    """Return under which name IPython marks the failing expression in a cell's lines.

    A kernel calls a cell as if it lay in a file, and IPython looks for that.
    """
    numbers = getattr(shell.compile, "_filename_map", None) or {}
    if file not in numbers or not file.endswith(".py"):
        return file
    name = f"<ipython-input-{numbers[file]}-{PurePath(file).stem}>"
    if not show_under(file, name):
        return file
    numbers[name] = numbers[file]
    return name
