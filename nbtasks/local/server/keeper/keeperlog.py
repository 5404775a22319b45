"""The keeper's log, and the end of any."""

from __future__ import annotations

import os
import sys
import time

LOG_MAX_BYTES = 1 << 20


def note(text: str) -> None:
    """Write a line to the keeper's log (its standard error)."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {os.getpid()} {text}\n")
    sys.stderr.flush()


def tail(path: str, lines: int = 12) -> str:
    """Return the last lines of a text file, or an empty text."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def limit_log(path: str) -> None:
    """Set a log aside that has grown too large."""
    try:
        if os.stat(path).st_size > LOG_MAX_BYTES:
            os.replace(path, path + ".1")
    except OSError:
        pass
