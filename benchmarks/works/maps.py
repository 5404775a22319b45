from __future__ import annotations

from benchmarks import tasks

from .base import TARGET_S, Measured, Work, check, choose_count

#: Calls in a message where the user says so by hand.
CHUNK = 100


class Rate(Work):
    """Calls in a second: as many no-ops as take some seconds, sent and collected."""

    unit = "calls/s"

    def measure(self, peer, meter, quick):
        def run(n):
            check(list(range(n)), self.run(peer, range(n)))

        n = choose_count(run, 1.0 if quick else TARGET_S, self.most)
        with meter.span() as span:
            results = self.run(peer, range(n))
        check(list(range(n)), results)
        return Measured(n / span.seconds, n, span.cpu)


class Map(Rate):
    """The library's bulk call as it stands."""

    name = "map"
    title = "map of no-ops"
    most = 100_000

    def run(self, peer, items):
        return peer.map(tasks.noop, items)


class ChunkedMap(Rate):
    """The bulk call with 100 calls in a message, where the user packs by hand."""

    name = "map_by_hand"
    title = "map of no-ops, packed by hand, 100 in a message"
    most = 100_000

    def suits(self, peer):
        return super().suits(peer) and peer.chunks

    def run(self, peer, items):
        return peer.map_chunked(tasks.noop, items, CHUNK)


class Loop(Rate):
    """One submit after the other, then all results."""

    name = "loop"
    title = "loop of single submits, then results"
    most = 10_000

    def suits(self, peer):
        return super().suits(peer) and peer.submits

    def run(self, peer, items):
        return peer.loop(tasks.noop, items)
