from __future__ import annotations

import time

from benchmarks.server import command_stats

from .base import Measured, Work

#: Commands that only this measurement sends.
OURS = {"info", "ping"}
SETTLE_S = 3.0


class Idle(Work):
    """What a worker with four processes costs while there is nothing to do."""

    name = "idle"
    title = "idle worker with 4 processes"
    unit = "% of a core"
    higher_is_better = False
    children = 4

    def measure(self, peer, meter, quick):
        seconds = 3.0 if quick else 10.0
        time.sleep(SETTLE_S)
        before = commands(peer.server_url)
        with meter.span() as span:
            time.sleep(seconds)
        sent = {name: n - before.get(name, 0) for name, n in commands(peer.server_url).items()}
        sent = {name: n for name, n in sent.items() if n}
        details = (
            {"commands_per_s": sum(sent.values()) / span.seconds, "commands": sent} if peer.server_url else {}
        )
        cores = (span.cpu["workers"] + span.cpu["server"]) / span.seconds
        return Measured(100 * cores, 0, span.cpu, details)


def commands(url):
    """Return command -> how often the server has run it."""
    return {name: calls for name, (calls, _) in command_stats(url).items() if name not in OURS} if url else {}
