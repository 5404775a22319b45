"""What is tried again where a connection was lost, or the server starts: one notebook need not hear of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import BrokerUnavailable

from .brokererrors import LOADING_S, BrokerLoading

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


def once_loaded(action: Callable[[], T]) -> T:
    """Do something when the server has loaded its data.

    Raises:
        BrokerLoading: it has not in :data:`LOADING_S`.
    """
    give_up_at = time.monotonic() + LOADING_S
    while True:
        try:
            return action()
        except BrokerLoading:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(0.1)
