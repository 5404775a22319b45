"""What nbtasks asks of its server: commands, bytes and CPU for a call, and for workers that have nothing to do."""

from __future__ import annotations

import statistics
import time

from benchmarks import tasks
from benchmarks.server import command_stats, info

from .base import Measured, Work, check
from .idle import OURS, SETTLE_S, Requests

CHUNKS = (1, 10, 100)
CHILDREN = (4, 64)


class Costs(Work):
    """Commands, bytes and server CPU for one call, by calls in a chunk."""

    name = "costs"
    title = "what a call costs the server, by chunk"
    unit = "µs/call"
    higher_is_better = False
    only = ("nbtasks",)

    def measure(self, peer, meter, quick):
        n = 2_000 if quick else 20_000
        rows = []
        with meter.span() as span:
            for chunk in CHUNKS:
                before = Counters(peer.server_url)
                check(list(range(n)), peer.map_chunked(tasks.noop, range(n), chunk))
                rows.append({"chunk": chunk, **Counters(peer.server_url).per_call(before, n)})
        return Measured(rows[-1]["server_cpu_us"], n * len(CHUNKS), span.cpu, {"rows": rows})


class IdleChildren(Work):
    """What children without work cost: commands, CPU, and the wake-ups of the others for a single call."""

    name = "idle_children"
    title = "one call beside idle children, p50"
    unit = "ms"
    higher_is_better = False
    only = ("nbtasks",)
    children = CHILDREN[0]

    def measure(self, peer, meter, quick):
        seconds, calls = (3.0, 50) if quick else (10.0, 500)
        rows = []
        for children in CHILDREN:
            peer.start_workers(children)
            rows.append({"children": children, **self._idle(peer, meter, seconds), **_one_calls(peer, calls)})
        return Measured(rows[-1]["p50_ms"], calls, details={"rows": rows})

    def _idle(self, peer, meter, seconds):
        time.sleep(SETTLE_S)
        before = Requests(peer.server_url)
        with meter.span() as span:
            time.sleep(seconds)
        return {
            "requests_per_s": Requests(peer.server_url).since(before, span.seconds)["requests_per_s"],
            "workers_cpu_percent": 100 * span.cpu["workers"] / span.seconds,
            "server_cpu_percent": 100 * span.cpu["server"] / span.seconds,
        }


def _one_calls(peer, calls):
    before = Counters(peer.server_url)
    times_ms = []
    for i in range(calls):
        begun = time.perf_counter()
        check([i], [peer.call(tasks.noop, i)])
        times_ms.append((time.perf_counter() - begun) * 1000)
    cost = Counters(peer.server_url).per_call(before, calls)
    return {"p50_ms": statistics.median(times_ms), "server_cpu_us": cost["server_cpu_us"]}


class Counters:
    """The server's counters at one moment, without what this measurement itself has asked."""

    def __init__(self, url: str) -> None:
        facts = info(url)
        stats = {name: pair for name, pair in command_stats(url).items() if name not in OURS}
        self.commands = sum(calls for calls, _ in stats.values())
        self.command_us = sum(spent for _, spent in stats.values())
        self.bytes_in = int(facts["total_net_input_bytes"])
        self.bytes_out = int(facts["total_net_output_bytes"])
        self.cpu_s = float(facts["used_cpu_sys"]) + float(facts["used_cpu_user"])

    def per_call(self, before: Counters, calls: int) -> dict:
        """Return what each of ``calls`` calls has cost since ``before``."""
        return {
            "commands": (self.commands - before.commands) / calls,
            "bytes_in": (self.bytes_in - before.bytes_in) / calls,
            "bytes_out": (self.bytes_out - before.bytes_out) / calls,
            "commands_us": (self.command_us - before.command_us) / calls,
            "server_cpu_us": (self.cpu_s - before.cpu_s) * 1e6 / calls,
        }
