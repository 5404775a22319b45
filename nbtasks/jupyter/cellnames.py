"""Cells as a notebook names them: ``Cell In[2], line 5`` in the place of a file that nobody has written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nbtasks.core.shownlines import show_under

_IN_TRACEBACK = re.compile(r'File "([^"\n]+)", line (\d+)')
_IN_WARNING = re.compile(r"^(\S[^\n:]*):(\d+): (?=\w*Warning\b)", re.MULTILINE)
#: IPython's own name of a cell has its number in it; a kernel's has not.
_NUMBERED = re.compile(r"<ipython-input-(\d+)-\w+>")
#: Of each shell that has the extension: name of a cell's file -> its number.
_numbers: list[Mapping[str, int]] = []


def learn(shell: Any) -> Mapping[str, int]:
    """Know the cells of a shell from now on; returns what :func:`forget` wants."""
    numbers: Mapping[str, int] | None = getattr(shell.compile, "_filename_map", None)
    known = {} if numbers is None else numbers
    _numbers.append(known)
    return known


def forget(known: Mapping[str, int]) -> None:
    """Know the cells of a shell no more."""
    _numbers[:] = [one for one in _numbers if one is not known]


def number_of(file: str) -> int | None:
    """Return the number of the cell that is known by the name of this file."""
    numbered = _NUMBERED.fullmatch(file)
    if numbered:
        return int(numbered[1])
    return next((known[file] for known in _numbers if file in known), None)


def in_cells(text: str) -> str:
    """Return a traceback, or what a warning has written, with cells named as the notebook names them."""
    if 'File "' in text:
        text = _IN_TRACEBACK.sub(lambda found: _place(found, f'File "{found[1]}", line {found[2]}'), text)
    if "Warning" in text:
        text = _IN_WARNING.sub(lambda found: f"{_place(found, f'{found[1]}:{found[2]}')}: ", text)
    return text


def _place(found: re.Match[str], otherwise: str) -> str:
    number = number_of(found[1])
    return otherwise if number is None else f"Cell In[{number}], line {found[2]}"


def file_in_warnings(file: str) -> str:
    """Return what a warning of nbtasks says of a file, whose lines are shown with it."""
    number = number_of(file)
    name = f"Cell In[{number}]"
    return name if number is not None and show_under(file, name) else file
