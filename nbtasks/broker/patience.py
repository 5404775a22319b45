"""What is tried again where a connection was lost: one notebook need not hear of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import BrokerUnavailable

T = TypeVar("T")
_BETWEEN_TRIES = Backoff(0.05)


def patiently(most_s: float, action: Callable[[], T]) -> T:
    """Do something, again and again for so many seconds while the broker cannot be reached.

    Raises:
        BrokerUnavailable: it could not be reached until then.
    """
    give_up_at, failures = time.monotonic() + most_s, 0
    while True:
        try:
            return action()
        except BrokerUnavailable:
            failures += 1
            pause_s = _BETWEEN_TRIES.after(failures)
            if time.monotonic() + pause_s > give_up_at:
                raise
        time.sleep(pause_s)
