"""Where events come from: what an engine gives to those who read what happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo

    from .event import Event


class EventTap(Protocol):
    """The events of a namespace in order, from some moment on, verified, each once."""

    @property
    def missed(self) -> int:
        """How many entries were trimmed, or left out by who has noted them, before they were read."""

    @property
    def refused(self) -> int:
        """How many entries were left out that are not signed with a key that is here, or make no sense."""

    @property
    def foreign(self) -> int:
        """How many entries were left out that are signed with keys that are not here."""

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read at once, as far as the last read has shown."""

    def read(self, most_s: float) -> Iterable[Event]:
        """Return the next events; none where none came in time.

        Raises:
            BrokerUnavailable: nothing is lost; read again.
        """

    def close(self) -> None:
        """Read no more; who waits in another thread goes on at once."""


class EventSource(Protocol):
    """Tells what happens in a namespace."""

    @property
    def usable(self) -> bool:
        """Whether it is open, and belongs to this process."""

    def now(self) -> float:
        """Return what time it is for who notes events, in epoch seconds."""

    def tap(self, since: float | None) -> EventTap:
        """Return the events from some moment on, over a connection of their own.

        Args:
            since: epoch seconds, 0 for all that was kept; None: those that come from now on.
        """

    def workers(self) -> list[WorkerInfo]:
        """Return the workers that are there, which nobody notes."""
