"""A clock for deadlines: nobody sets it, and it goes on while the machine sleeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial


def _best_clock() -> int | None:
    """Return the system's clock for this; None where Python's monotonic clock is the best one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        # Linux: the monotonic clock stands still while the machine sleeps.
        return time.CLOCK_BOOTTIME
    # macOS: Python's monotonic clock stands still then, and the system's does not.
    return time.CLOCK_MONOTONIC if sys.platform == "darwin" else None


_CLOCK = _best_clock()
#: Returns the seconds since some moment, the same one for all processes of the machine. It is asked before each call.
steady: Callable[[], float] = time.monotonic if _CLOCK is None else partial(time.clock_gettime, _CLOCK)
