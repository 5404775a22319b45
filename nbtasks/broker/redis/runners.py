"""Which calls run, as workers show it themselves. Where the server has lost what was in hand, nobody else knows."""

from __future__ import annotations

import json
from typing import Any

from .fleet import Fleet


class Runners:
    """What the workers with a lease run, at one moment."""

    def __init__(self, fleet: Fleet) -> None:
        self._named: set[tuple[str, int]] = set()
        #: Workers that run more than they name: hundreds of calls in threads, or coroutines.
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
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return
        self._named |= named
        if busy > len(named):
            self._vague.add(name)

    def run(self, batch: str, index: int) -> bool:
        """Whether a call runs for sure."""
        return (batch, index) in self._named

    def may_run_more(self, worker: str) -> bool:
        """Whether a worker, known by its name, runs calls that it does not name."""
        return worker in self._vague
