from __future__ import annotations

import statistics
import time

from benchmarks import tasks

from .base import Measured, Work, check

LINKS = 100
MEMBERS = 1_000


class Composition(Work):
    """Calls that wait for others, submitted as a whole: again and again, the median time counts."""

    size: int

    def suits(self, peer):
        return super().suits(peer) and peer.composes

    def measure(self, peer, meter, quick):
        size = self.size // 10 if quick else self.size
        check([self.expected(size)], [self.run(peer, size)])
        most, patience_s = (2, 2.0) if quick else (20, 10.0)
        times, results = [], []
        with meter.span() as span:
            end = time.perf_counter() + patience_s
            while len(times) < most and (begun := time.perf_counter()) < end:
                results.append(self.run(peer, size))
                times.append(time.perf_counter() - begun)
        check([self.expected(size)] * len(times), results)
        cpu = {role: seconds / len(times) for role, seconds in span.cpu.items()}
        return Measured(self.figure(size, statistics.median(times)), size, cpu, {"runs": len(times)})


class Chain(Composition):
    """Links that each get the value of the one before."""

    name = "chain"
    title = "chain of 100 links"
    unit = "links/s"
    size = LINKS

    def run(self, peer, size):
        return peer.chain(tasks.noop, 7, size)

    def expected(self, size):
        return 7

    def figure(self, size, seconds):
        return size / seconds


class Chord(Composition):
    """No-ops, and a body that gets all of their values."""

    name = "chord"
    title = "chord of 1,000 no-ops and a body"
    unit = "ms"
    higher_is_better = False
    size = MEMBERS

    def run(self, peer, size):
        return peer.chord(tasks.noop, range(size), tasks.total)

    def expected(self, size):
        return sum(range(size))

    def figure(self, size, seconds):
        return seconds * 1000
