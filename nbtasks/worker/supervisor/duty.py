"""Something that a supervisor does again and again, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nbtasks.worker.log import LOGGER

_AFTER_A_FAILURE_S = 1.0
_JOIN_S = 5.0


class Duty:
    """Calls ``act`` now and then.

    Args:
        act: does it, and returns the seconds until the next time.
    """

    def __init__(self, name: str, act: Callable[[], float]) -> None:
        self._act = act
        self._ended = False
        self._soon = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"nbtasks-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def soon(self) -> None:
        """Do it now rather than in a while."""
        self._soon.set()

    def stop(self) -> None:
        """End; waits for what is being done."""
        self._ended = True
        self._soon.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _loop(self) -> None:
        rest = 0.0
        while True:
            self._soon.wait(rest)
            self._soon.clear()
            if self._ended:
                return
            try:
                rest = self._act()
            except Exception:
                LOGGER.exception("a duty of the supervisor failed")
                rest = _AFTER_A_FAILURE_S
