"""A few steps of the main thread that no signal handler cuts short: what came meanwhile is handled right after them.

Python runs signal handlers between any two steps of its main thread, and the Stop button is one that raises. A result
that is half taken in would never end its batch.
"""

from __future__ import annotations

import signal

# What the module ``signal`` is made of: its own functions first try to make a constant of every handler, which takes
# ten times as long as all else here.
from _signal import getsignal  # type: ignore[import-not-found]
from _signal import signal as set_handler
from collections.abc import Callable
from types import FrameType
from typing import Any

#: Signals whose handlers may raise: the Stop button, and what people make time limits and shutdowns of.
_NAMES = "SIGINT SIGALRM SIGVTALRM SIGPROF SIGTERM SIGHUP SIGQUIT SIGUSR1 SIGUSR2"
_SIGNALS = [int(getattr(signal, name)) for name in _NAMES.split() if hasattr(signal, name)]

_Handler = Callable[[int, FrameType | None], Any]


class Shield:
    """Holds handlers back inside a ``with`` block; main thread only."""

    def __init__(self) -> None:
        self._handlers: dict[int, _Handler] = {}
        self._came: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> None:
        try:
            for number in _SIGNALS:
                if callable(handler := getsignal(number)):
                    # Known before it is replaced, for the next handler may raise at any point.
                    self._handlers[number] = handler
                    set_handler(number, self._hold_back)
        except BaseException:
            self._restore()
            raise

    def __exit__(self, *_: object) -> None:
        self._restore()
        for number, frame in self._came:
            self._handlers[number](number, frame)

    def _hold_back(self, number: int, frame: FrameType | None) -> None:
        self._came.append((number, frame))

    def _restore(self) -> None:
        try:
            for number, handler in self._handlers.items():
                set_handler(number, handler)
        except BaseException:
            # A handler that is in place again may raise while others are not; to set it twice does no harm.
            self._restore()
            raise
