"""The part of the seam to engines that ledgers and handles stand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .capabilities import Capabilities

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.wire.values import Shelf

    from .parcel import Parcel


class BatchEngine(Protocol):
    """What a batch and its handles ask of the engine that brings its calls to workers; engine.py has all of it.

    A ``batch`` is a Ledger, which knows this.
    """

    @property
    def shelf(self) -> Shelf:
        """Where large values are."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def usable(self) -> bool:
        """Whether it is open, and belongs to this process: else nobody tells how calls end."""

    def check_open(self, name: str) -> None:
        """Raise ConfigError where it is not usable; ``name`` is the id of what is waited for."""

    def wait_for(self, ready: Callable[[], bool], timeout: float | None, eager: bool) -> bool:
        """Wait until ``ready()``, which is asked after every change; ``eager`` where it is about one short call."""

    def when(self, batch: Any, ready: Callable[[], bool], action: Callable[[], None]) -> None:
        """Call ``action()`` once, on another thread, when ``ready()``, which is asked after each result."""

    def await_recorded(self, parcel: Parcel) -> bool:
        """Wait until others find a batch by its id; returns whether they do. Where that takes too long it is False."""

    def revoke(self, batch: Any, index: int, terminate: Terminate) -> None:
        """Make calls that have not ended REVOKED; an index of -1 means all of them."""

    def forget(self, batch: Any) -> None:
        """Drop the results of a batch as soon as all its calls have ended; handles that exist keep what they have."""

    def forget_call(self, batch: Any, index: int) -> None:
        """Do so with one call that shares its batch with other single calls: it is unknown from then on."""

    def why_pending(self, batch: Any, index: int | None = None) -> str | None:
        """Say why a batch, or one call of it, does not get on, with what to do."""

    def taking(self, queue: str) -> list[WorkerInfo]:
        """Return the workers that can take calls of a queue."""

    def retry_failed(self, batch: Any, parcel: Parcel, index: int | None = None) -> None:
        """Submit the calls again that failed or were revoked, or one of them; how they end counts in the batch."""
