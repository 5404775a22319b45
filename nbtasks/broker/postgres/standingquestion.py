"""A question that stands: it was asked once, and its answer may be waited for again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.brokererrors import unavailable

if TYPE_CHECKING:
    from typing_extensions import Self

    from .pglink import PgLink


class StandingQuestion:
    """One at a time, over one connection; with that it is lost.

    As a context, it ends where the connection is lost in there.

    Attributes:
        stands: somebody has asked, and nobody has taken the answer yet.
        until: when it is answered at the latest (monotonic).
    """

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self._connection = 0
        self._looks = 0
        self.stands = False
        self.until = 0.0

    def begin(self, block_ms: int) -> None:
        """It is asked, over the connection that there is."""
        self.stands, self.until = True, time.monotonic() + block_ms / 1000
        self._connection, self._looks = self._line.connections, 0

    def end(self) -> None:
        """Its answer is taken."""
        self.stands = False

    def wait(self, within_s: float) -> bool:
        """Wait until there may be an answer; False where nobody says so."""
        look_again_s = self._line.look_again_s
        woken = self._line.wait_to_be_told(min(within_s, look_again_s), self._looks)
        self._looks += 1
        return woken or within_s > look_again_s

    def __enter__(self) -> Self:
        """Raise BrokerUnavailable where its connection is another one by now."""
        if not self.stands or not self._line.connected or self._line.connections != self._connection:
            self.stands = False
            raise unavailable(self._line.label, ConnectionError("the connection was closed"))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End it after an error; an interrupt leaves it standing."""
        if kind is not None and issubclass(kind, Exception):
            self.stands = False
