"""Which calls run, as workers show it themselves. Where the server has lost what was in hand, nobody else knows."""

from __future__ import annotations

from .verbs.fleet import Fleet


class Runners:
    """What the workers with a lease run, at one moment."""

    def __init__(self, fleet: Fleet) -> None:
        self._named: set[tuple[str, int]] = set()
        #: Workers that run more than they name: hundreds of calls in threads, or coroutines.
        self._vague: set[str] = set()
        sheets = fleet.workers()
        for worker in fleet.alive(list(sheets)):
            sheet = sheets[worker]
            named = {(batch, index) for batch, index, _ in sheet.running}
            self._named |= named
            if sheet.slots_busy > len(named):
                self._vague.add(sheet.name)

    def run(self, batch: str, index: int) -> bool:
        """Whether a call runs for sure."""
        return (batch, index) in self._named

    def run_any(self, batch: str) -> bool:
        """Whether some call of a batch runs for sure."""
        return any(name == batch for name, _ in self._named)

    def may_run_more(self, worker: str) -> bool:
        """Whether a worker, known by its name, runs calls that it does not name."""
        return worker in self._vague
