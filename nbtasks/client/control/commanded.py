"""What the parts of an App's control need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nbtasks.client.current import Provider

if TYPE_CHECKING:
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult
    from nbtasks.client.workerinfo import WorkerInfo


class Commanded(Provider, Protocol):
    """An App, seen from here."""

    def workers(self) -> list[WorkerInfo]:
        """Return all workers of the namespace."""

    def attach(self, id: str | None = None) -> list[AsyncResult | GroupResult]:
        """Return handles of what was submitted."""
