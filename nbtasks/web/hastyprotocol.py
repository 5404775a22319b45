"""HTTP for clients that say what they want: who takes too long for that takes no place from others."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds that a client has for a whole request, head and body; and between two looks.
MOST_S, _LOOK_S = 20.0, 2.0


class HastyProtocol(H11Protocol):
    """One connection. uvicorn waits for ever for a request that was begun, or that never comes."""

    _idle_since = 0.0
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to look."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def _look_later(self) -> None:
        self._next_look = self.loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._idle_since = self.loop.time()
        elif self.loop.time() - self._idle_since > MOST_S:
            self.transport.abort()
            return
        self._look_later()
