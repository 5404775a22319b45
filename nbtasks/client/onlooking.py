"""Showing a handle while it is waited for: by who has a page, else as a bar in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from . import observers

#: Draws bars of handles in a terminal until they have ended, at most so many seconds; set by lateparts.py.
draw: list[Callable[[list[Any], float | None], None]] = []


def watched(handle: Any, timeout: float | None) -> float | None:
    """Show how far a call or a map is; where that takes a terminal's bar, until it has ended or time is up.

    Returns:
        how many of the ``timeout`` seconds are left.
    """
    if observers.shown(handle) or not draw:
        return timeout
    began_at = time.monotonic()
    draw[0]([handle], timeout)
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - began_at))
