"""How the threads of a child wake the one that tells: it sleeps while there is nothing to tell."""

from __future__ import annotations

import threading


class Bell:
    """Rung by any thread, heard by one.

    Attributes:
        is_needed: nobody looks before it is rung. Whoever has something asks for this first: most often somebody looks
            anyway, and ringing costs more than all else that is done for a short call.
    """

    def __init__(self) -> None:
        self.is_needed = False
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    def wait(self, most_s: float | None) -> bool:
        """Wait until it is rung; returns whether it was, in so many seconds."""
        rung = self._rung.wait(most_s)
        self._rung.clear()
        return rung
