"""The lines that tracebacks show of code that lies in no file, as that of cells, or in one that is another by now."""

from __future__ import annotations

import contextlib
import linecache
from collections.abc import Mapping
from typing import Any

from .globals import captures, has_code
from .readable import is_kind

#: Functions and classes that are looked at on the way from one of them.
_MOST_LOOKED_AT = 500


def show(file: str, text: str) -> None:
    """Have these lines shown for a file, whatever it had before."""
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)


def show_unless_known(texts: Mapping[str, str]) -> None:
    """Have texts shown for those files of which nothing is known here."""
    for file, text in texts.items():
        if file not in linecache.cache:
            show(file, text)


def show_under(file: str, name: str) -> bool:
    """Have the lines of a file shown under another name as well; returns whether there are some."""
    known = linecache.cache.get(file)
    if known is None:
        return False
    linecache.cache[name] = (*known[:3], name)
    return True


def lines_for(function: Any) -> dict[str, str]:
    """Return file name -> text of those files of a function that exist in memory only, as notebook cells do."""
    found: dict[str, str] = {}
    seen: set[int] = set()
    waiting = [function]
    while waiting and len(seen) < _MOST_LOOKED_AT:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if has_code(item):
            with contextlib.suppress(Exception):
                _add(item.__code__.co_filename, found)
            waiting += [value for _, value in captures(item) if has_code(value) or is_kind(value, type)]
        elif is_kind(item, type):
            waiting += filter(has_code, vars(item).values())
        else:
            with contextlib.suppress(Exception):
                waiting.append(item.__wrapped__)
    return found


def _add(file: str, found: dict[str, str]) -> None:
    known = linecache.cache.get(file)
    # What lies in a file has the time of its last change there.
    if file not in found and known is not None and len(known) == 4 and known[1] is None:
        found[file] = "".join(known[2])
