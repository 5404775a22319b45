"""Interrupts this thread at a chosen line of some files of the client."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable


class Interrupter:
    """Calls ``press()`` before the ``nth`` line that this thread runs in some of the client's files.

    Attributes:
        hit: the function that was interrupted; None where fewer lines were run.
        functions: names of the functions of these files that were entered.
    """

    def __init__(self, nth: int, files: tuple[str, ...], press: Callable[[], None]) -> None:
        self.left = nth
        self.hit: str | None = None
        self.functions: set[str] = set()
        self._files = tuple(f"/{name}.py" for name in files)
        self._press = press

    def __enter__(self):
        sys.settrace(self)
        return self

    def __exit__(self, *exc):
        sys.settrace(None)
        return False

    def __call__(self, frame, event, _):
        code = frame.f_code
        if "/nbtasks/client/" not in code.co_filename or not code.co_filename.endswith(self._files):
            return None
        self.functions.add(code.co_name)
        # Between a ``with``'s body and its end, which has the line of its beginning, no signal is looked at.
        line = linecache.getline(code.co_filename, frame.f_lineno).strip()
        if event == "line" and not line.startswith("with "):
            self.left -= 1
            if self.left == 0:
                self.hit = code.co_name
                sys.settrace(None)
                self._press()
        return self
