"""A worker's traceback as a card shows it: cells by their names, lines short enough for their carets. Pure."""

from __future__ import annotations

import re
import textwrap

from nbtasks.jupyter.cellnames import in_cells

#: Columns that a card has for a line.
COLUMNS = 100
#: What stays before the marked part of a line that is cut.
_BEFORE = 20
_CARETS = re.compile(r" *[~^][ ~^]*")
_FRAME = re.compile(r" +(File|Cell) |Traceback \(most|\s*\|")


def readable(traceback: str) -> str:
    """Return a traceback in lines of at most :data:`COLUMNS` columns."""
    lines = in_cells(traceback).split("\n")
    shown: list[str] = []
    place = 0
    while place < len(lines):
        carets = lines[place + 1] if place + 1 < len(lines) else ""
        if _CARETS.fullmatch(carets):
            shown += _cut(lines[place], carets)
            place += 2
            continue
        shown += _fitting(lines[place])
        place += 1
    return "\n".join(shown)


def _cut(line: str, carets: str) -> tuple[str, str]:
    """Return the part of a line that is marked, with what is around it, and its carets."""
    indent = len(line) - len(line.lstrip())
    if len(line) <= COLUMNS:
        return line, carets
    first = len(carets) - len(carets.lstrip())
    # Between dots on both sides.
    room = COLUMNS - indent - 8
    begin = max(indent, min(first - _BEFORE, len(line) - room))
    end = begin + room
    head = "" if begin == indent else "... "
    tail = " ..." if end < len(line) else ""
    margin = " " * (indent + len(head))
    return (
        f"{' ' * indent}{head}{line[begin:end]}{tail}",
        f"{margin}{carets[begin:end]}".rstrip(),
    )


def _fitting(line: str) -> list[str]:
    if len(line) <= COLUMNS or _FRAME.match(line):
        return [line]
    if line.startswith("    "):
        # Code without a mark.
        return [f"{line[: COLUMNS - 4]} ..."]
    return textwrap.wrap(line, COLUMNS, replace_whitespace=False, drop_whitespace=False) or [line]
