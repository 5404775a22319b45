"""Which calls run, as workers show it themselves. Where the broker has lost what was in hand, nobody else knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.broker.fleet import Fleet

    from .batch import Batch


class Runners:
    """What the workers with a lease run, at one moment."""

    def __init__(self, fleet: Fleet) -> None:
        self._named: set[tuple[str, int]] = set()
        #: Workers that run more than they name: calls in threads, coroutines.
        self._vague: set[str] = set()
        infos = fleet.workers()
        for worker in fleet.alive(list(infos)):
            self._read(infos[worker])

    def _read(self, text: str) -> None:
        """Read what a worker shows; it is not signed, and what nobody can read is left out."""
        try:
            info: dict[str, Any] = json.loads(text)
            named = {(str(batch), int(index)) for batch, index, _ in info["running"]}
            name, busy = str(info["name"]), int(info["slots_busy"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        self._named |= named
        if busy > len(named):
            self._vague.add(name)

    def run(self, batch: Batch, index: int) -> bool:
        """Whether a call runs for sure."""
        return (batch.id, index) in self._named

    def may_run(self, batch: Batch, index: int) -> bool:
        """Whether a worker has told that it runs a call, and does not show that it does not."""
        told = batch.running.get(index)
        return told is not None and told.worker in self._vague
