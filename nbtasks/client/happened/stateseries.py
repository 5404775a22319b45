"""What can be said of events by now, every so many seconds: Celery's camera."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from nbtasks.core.durations import seconds

from .eventstate import EventState

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks.core.durations import Duration

    from .event import Event

#: Seconds for which one look waits.
_LOOK_S = 1.0


class Photographed(Protocol):
    """What snapshots are taken of: a stream of events."""

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read at once."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is read."""
        ...

    def is_over(self, last: float) -> bool:
        """Whether it ends, for nothing has come since a moment of the steady clock."""
        ...

    def next_batch(self, timeout_s: float = 1.0) -> list[Event]:
        """Return what has come."""
        ...


class StateSeries:
    """Yields one state again and again, which goes on counting; with ``for`` and with ``async for``.

    Args:
        stream: whose events are counted.
        every: seconds between two snapshots, whether something has happened or not.
    """

    def __init__(self, stream: Photographed, every: Duration) -> None:
        self._stream = stream
        self._every_s = seconds(every, "every")
        self._state = EventState()
        self._last = time.monotonic()
        self._due = self._last + self._every_s
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EventState:
        while not self._is_over:
            if self._look():
                return self._state
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventState:
        while not self._is_over:
            # What it reads when this is cancelled has been counted for the next one who asks.
            if await asyncio.to_thread(self._look):
                return self._state
        raise StopAsyncIteration

    @property
    def _is_over(self) -> bool:
        return self._ended or self._stream.is_closed

    def _look(self) -> bool:
        """Count what has come; returns whether it is time to be seen."""
        events = self._stream.next_batch(max(0.0, min(_LOOK_S, self._due - time.monotonic())))
        for event in events:
            self._state.event(event)
        now = time.monotonic()
        if events or self._stream.is_behind:
            self._last = now
        # The last one has all that there was.
        self._ended = self._stream.is_closed or self._stream.is_over(self._last)
        if now < self._due and not self._ended:
            return False
        self._due = now + self._every_s
        return True
