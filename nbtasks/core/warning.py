"""Warnings that point at the user's own line, however deep in here, and on which thread, it is found."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

#: Each returns the name under which users know a file.
known_as: list[Callable[[str], str]] = []

_PACKAGE = str(Path(__file__).resolve().parent.parent)
#: What stands between a user's line and ours, or below both.
_BETWEEN = frozenset(
    {
        "IPython",
        "asyncio",
        "concurrent",
        "contextlib",
        "functools",
        "importlib",
        "ipykernel",
        "runpy",
        "threading",
    }
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as :func:`warnings.warn` does, of the line of the user's that this comes from.

    On a thread of ours there is none. Then it is the one that the main thread is at: it submits, or waits.
    """
    frame = _users(sys._getframe(1)) or _users(_of_main_thread()) or sys._getframe(1)
    file = frame.f_code.co_filename
    for name in known_as:
        file = name(file)
    warnings.warn_explicit(
        message,
        category,
        file,
        frame.f_lineno,
        frame.f_globals.get("__name__", "__main__"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _of_main_thread() -> FrameType | None:
    return sys._current_frames().get(threading.main_thread().ident or 0)


def _users(frame: FrameType | None) -> FrameType | None:
    return next((one for one in _outwards(frame) if _is_users(one)), None)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_users(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return not file.startswith((_PACKAGE, "<frozen")) and module not in _BETWEEN
