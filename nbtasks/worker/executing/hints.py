"""What an error of a task is told beside its own text, where that does not say what to do: names that are missing."""

from __future__ import annotations

import re
from types import FrameType

from nbtasks.core.readable import text_of

from . import keyboard

#: Who looks tables up among the variables of its caller -> how it says that there is none.
_TABLES = {
    "duckdb": re.compile(r"Table with name (\w+) does not exist"),
    "polars": re.compile(r"relation '(\w+)' was not found"),
    "pandasql": re.compile(r"no such table: (\w+)"),
}
_BY_TEXT = frozenset({"globals", "locals", "vars"})


def add_hint(error: BaseException) -> None:
    """Add a note to an error, where there is something to say. What it asks of the error is a user's code, too."""
    hint = keyboard.of_debugger(type(error)) or _of_missing_name(error)
    if hint is None:
        return
    notes = [*getattr(error, "__notes__", []), f"nbtasks: {hint}"]
    error.__notes__ = notes  # type: ignore[attr-defined, unused-ignore]


def _of_missing_name(error: BaseException) -> str | None:
    name = _missing_name(error)
    if name is None:
        return None
    return (
        f"this task has no {name!r} of the notebook: what its code reads travels with it, what only a text speaks of "
        "that is made later on does not; assign it in the task's body, or pass it as an argument"
    )


def _missing_name(error: BaseException) -> str | None:
    kind, text = type(error), text_of(error)
    if kind is NameError and _is_evaluated(_innermost(error)):
        found = re.search(r"name '(\w+)' is not defined", text)
    elif kind.__name__ == "UndefinedVariableError":
        found = re.search(r"name '(\w+)' is not defined|variable '(\w+)' is not defined", text)
    elif kind is KeyError and len(error.args) == 1 and _looks_in_namespace(_innermost(error)):
        found = re.fullmatch(r"([A-Za-z_]\w*)", text_of(error.args[0]))
    else:
        pattern = _TABLES.get(kind.__module__.partition(".")[0].removeprefix("_"))
        found = pattern.search(text) if pattern else None
    return next(filter(None, found.groups()), None) if found else None


def _innermost(error: BaseException) -> FrameType | None:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at.tb_frame if at else None


def _is_of_notebook(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") == "__main__"


def _is_evaluated(frame: FrameType | None) -> bool:
    """Whether code runs there that was a text: what plain code reads says enough by itself."""
    return frame is not None and _is_of_notebook(frame) and frame.f_code.co_filename == "<string>"


def _looks_in_namespace(frame: FrameType | None) -> bool:
    return frame is not None and _is_of_notebook(frame) and not _BY_TEXT.isdisjoint(frame.f_code.co_names)
