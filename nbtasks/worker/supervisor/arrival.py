"""Come to a broker that may not be there yet."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import BrokerUnavailable
from nbtasks.worker.log import LOGGER

#: Seconds between two tries: at first an embedded server is about to come up, later nobody knows.
_BETWEEN_TRIES = Backoff(0.01, 0.5, factor=1.5)
#: Seconds after which it is said that there is something to wait for.
_TELL_AFTER_S = 1.0


class Arrival:
    """Does the first steps with a broker, each again and again until it has answered.

    Args:
        patience_s: seconds after which it is given up; None for never.
        ended: waits for so many seconds, and returns early, with True, when the worker is to end.
    """

    def __init__(self, patience_s: float | None, ended: Callable[[float], bool]) -> None:
        self._began_at = time.monotonic()
        self._patience_s = patience_s
        self._ended = ended
        self._told = False

    def step(self, action: Callable[[], object]) -> bool:
        """Do one step; returns False where the worker is to end before it was done.

        Raises:
            BrokerUnavailable: patience is over.
        """
        for tries in itertools.count(1):
            try:
                action()
                return True
            except BrokerUnavailable as error:
                waited_s = time.monotonic() - self._began_at
                if self._patience_s is not None and waited_s > self._patience_s:
                    raise
                self._tell(error, waited_s)
            if self._ended(_BETWEEN_TRIES.after(tries)):
                break
        return False

    def over(self) -> None:
        """Say that the broker is there, if it was said that it is not."""
        if self._told:
            LOGGER.warning("the broker is there, after %.0f s", time.monotonic() - self._began_at)

    def _tell(self, error: BrokerUnavailable, waited_s: float) -> None:
        # Who has no patience is told by the error.
        if not self._told and self._patience_s is None and waited_s > _TELL_AFTER_S:
            self._told = True
            LOGGER.warning("the broker is not there; this process waits, and begins when it is: %s", error)
