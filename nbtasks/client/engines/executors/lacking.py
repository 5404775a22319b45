"""What no executor has: refused by its name, with the next step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbtasks.client.batches.capabilities import Capabilities
from nbtasks.core.errors import ConfigError

if TYPE_CHECKING:
    from nbtasks.client.batches.engineparts import Commander, LockKeeper, PeriodicKeeper, Surveyor
    from nbtasks.client.happened.eventsource import EventSource
    from nbtasks.client.stranded import Stranded
    from nbtasks.client.workerinfo import WorkerInfo


class Lacking:
    """An engine without a server."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def _refusal(self, word: str) -> ConfigError:
        return self.capabilities.refusal(word)

    def stranded(self, workers: Iterable[WorkerInfo]) -> list[Stranded]:
        """Return nothing: all calls are of this process."""
        return []

    @property
    def periodics(self) -> PeriodicKeeper:
        """Raise ConfigError: it runs what it is given, and nothing by itself."""
        raise self._refusal("add_periodic_task")

    @property
    def commanding(self) -> Commander:
        """Raise ConfigError: there are no workers that could be told something."""
        raise self._refusal("control")

    @property
    def events(self) -> EventSource:
        """Raise ConfigError: nobody notes what happens."""
        raise self._refusal("events")

    @property
    def lookout(self) -> Surveyor:
        """Raise ConfigError: there is no server to look at."""
        raise self._refusal("dashboard")

    @property
    def holding(self) -> LockKeeper:
        """Raise ConfigError: nobody else would keep to its locks."""
        raise self._refusal("lock")
