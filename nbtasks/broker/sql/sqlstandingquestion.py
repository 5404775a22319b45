"""A question that stands: it was asked once, and its answer may be waited for again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from .sqllink import SqlLink

T = TypeVar("T")


class SqlQuestion(Generic[T]):
    """One at a time, over one connection; with that it is lost.

    Attributes:
        stands: somebody has asked, and nobody has taken the answer yet.
        until: when it is answered at the latest (monotonic).
    """

    def __init__(self, line: SqlLink) -> None:
        self._line = line
        self._connection = 0
        self._look: Callable[[], list[T]] = list
        #: What the question has brought, before it was asked for.
        self._come: list[T] = []
        #: The look with which it was asked, until somebody has waited.
        self._last: tuple[object, list[T]] | None = None
        self.stands = False
        self.until = 0.0

    def begin(self, look: Callable[[], list[T]], block_ms: int) -> None:
        """It is asked, over the connection that there is."""
        self._last = self._line.look_at(look)
        self._come = self._last[1]
        self._look = look
        self.stands, self.until = True, time.monotonic() + block_ms / 1000
        self._connection = self._line.connections

    def wait(self, within_s: float) -> list[T] | None:
        """Return the answer, empty where nothing came in time; None where it may still come.

        Raises:
            BrokerUnavailable: its connection is another one by now.
        """
        if not self.stands or not self._line.connected or self._line.connections != self._connection:
            self.stands = False
            raise self._line.closed()
        try:
            if not self._come:
                last, self._last = self._last, None
                until = min(time.monotonic() + within_s, self.until)
                self._come = self._line.wait_for(self._look, until, last)
        except Exception:
            # An interrupt leaves it standing.
            self.stands = False
            raise
        if not self._come and time.monotonic() < self.until:
            return None
        self.stands = False
        found, self._come = self._come, []
        return found
