from __future__ import annotations

import time

from benchmarks.server import command_stats, info

from .base import Measured, Work

#: Commands that only this measurement sends.
OURS = {"info", "ping"}
#: Reads of two questions with their ends, between one count of reads and the next.
OUR_READS = 4
SETTLE_S = 3.0


class Idle(Work):
    """What a worker with four processes costs while there is nothing to do."""

    name = "idle"
    title = "idle worker with 4 processes"
    unit = "% of a core"
    higher_is_better = False
    children = 4

    def measure(self, peer, meter, quick):
        time.sleep(SETTLE_S)
        before = Requests(peer.server_url)
        with meter.span() as span:
            time.sleep(3.0 if quick else 10.0)
        details = Requests(peer.server_url).since(before, span.seconds)
        cores = (span.cpu["workers"] + span.cpu["server"]) / span.seconds
        return Measured(100 * cores, 0, span.cpu, details)


class Requests:
    """What the server has been asked up to a moment: requests, where a pipeline is one, and commands by name."""

    def __init__(self, url: str) -> None:
        self._reads = int(info(url, "stats")["total_reads_processed"]) if url else 0
        stats = command_stats(url) if url else {}
        self._names = {name: calls for name, (calls, _) in stats.items() if name not in OURS}

    def since(self, before: Requests, seconds: float) -> dict:
        """Return requests a second, and commands by name, with those inside scripts; empty without a server."""
        if not self._names:
            return {}
        names = {name: n - before._names.get(name, 0) for name, n in self._names.items()}
        return {
            "requests_per_s": max(0, self._reads - before._reads - OUR_READS) / seconds,
            "names_per_s": {name: n / seconds for name, n in names.items() if n},
        }
