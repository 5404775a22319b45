from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

from benchmarks import tasks
from benchmarks.server import info

from .base import Measured, Work, check

PAYLOAD_BYTES = 200
MIB = 1 << 20
WATCH_S = 0.2


class Million(Work):
    """Maps of 10,000 to 1,000,000 calls of 200 bytes: time for a call, memory of the kernel and of the server."""

    name = "million"
    title = "1,000,000 calls of 200 bytes: time for a call, against 10,000 calls"
    unit = "× as long"
    higher_is_better = False
    only = ("nbtasks",)
    limit_s = 600.0

    def measure(self, peer, meter, quick):
        counts = (1_000, 10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
        peer.map(tasks.length, payloads(counts[0]))
        with meter.span() as span:
            rows = [self._run(peer, count) for count in counts]
        growth = rows[-1]["us_per_call"] / rows[0]["us_per_call"]
        return Measured(growth, sum(counts), span.cpu, {"rows": rows})

    def _run(self, peer, count):
        items = payloads(count)
        gc.collect()
        with MemoryWatch(peer.server_url) as watch:
            begun = time.perf_counter()
            group = peer.task(tasks.length).map(items, quiet=True)
            submitted = time.perf_counter()
            results = group.get(timeout=500)
            ended = time.perf_counter()
        check([PAYLOAD_BYTES] * count, results)
        group.forget()
        return {
            "calls": count,
            "us_per_call": (ended - begun) / count * 1e6,
            "submit_us_per_call": (submitted - begun) / count * 1e6,
            "kernel_peak_mib": watch.kernel_bytes / MIB,
            "server_peak_mib": watch.server_bytes / MIB,
        }


def payloads(count):
    return [i.to_bytes(PAYLOAD_BYTES, "big") for i in range(count)]


class MemoryWatch:
    """The most memory that this process and the server have taken beyond what they had at the beginning."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._first = self._look()
        self.kernel_bytes = self.server_bytes = 0
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(WATCH_S):
            self._note()
        self._note()

    def _note(self):
        kernel, server = self._look()
        self.kernel_bytes = max(self.kernel_bytes, kernel - self._first[0])
        self.server_bytes = max(self.server_bytes, server - self._first[1])

    def _look(self):
        return resident_bytes(), int(info(self._url, "memory")["used_memory"])


def resident_bytes():
    """Return this process's resident memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
