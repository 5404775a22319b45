"""What was asked for a moment ago is not asked again: many may look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """What a look has found; for so many seconds nobody looks again, and two never look at once."""

    def __init__(self, look: Callable[[], T], for_s: float) -> None:
        self._look = look
        self._for_s = for_s
        self._found: T | None = None
        self._looked_at = float("-inf")
        self._lock = threading.Lock()

    def get(self) -> T:
        """Return it, as it was found a moment ago at most."""
        with self._lock:
            if time.monotonic() - self._looked_at >= self._for_s:
                self._found = self._look()
                self._looked_at = time.monotonic()
            return self._found  # type: ignore[return-value]

    def forget(self) -> None:
        """Look again the next time."""
        self._looked_at = float("-inf")
