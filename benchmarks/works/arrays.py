from __future__ import annotations

import time

from benchmarks import tasks

from .base import Measured, Work, WrongResults, check

MEGABYTES = 10
FLOATS = MEGABYTES * 1_000_000 // 8


class Arrays(Work):
    """Arrays of 10 MB to the workers, new arrays of 10 MB back."""

    name = "arrays"
    title = "10 MB arrays out and back (bytes both ways)"
    unit = "MB/s"
    arrays = True

    def measure(self, peer, meter, quick):
        n = self._count(peer, 8 if quick else 32)
        arrays = make(n)
        with meter.span() as span:
            results = peer.map(tasks.grow, arrays)
        verify(results)
        return Measured(2 * n * MEGABYTES / span.seconds, n, span.cpu)

    def _count(self, peer, most):
        begun = time.perf_counter()
        verify(peer.map(tasks.grow, make(2)))
        return max(4, min(most, int(2 * 3.0 / (time.perf_counter() - begun))))


class ArraysThroughServer(Arrays):
    """The same where nothing goes through files of this machine, as with workers on others."""

    name = "arrays_server"
    title = "10 MB arrays out and back, through the server"
    only = ("nbtasks",)

    def measure(self, peer, meter, quick):
        peer.share_no_files()
        return super().measure(peer, meter, quick)


class SharedArray(Work):
    """One array of 10 MB that all calls of a map look at."""

    name = "shared_array"
    title = "1,000 calls that share one 10 MB array"
    unit = "s"
    higher_is_better = False
    only = ("nbtasks",)

    def measure(self, peer, meter, quick):
        n = 100 if quick else 1000
        (array,) = make(1)
        calls = [(array, i) for i in range(n)]
        with meter.span() as span:
            results = peer.starmap(tasks.look, calls)
        check([float(array[i]) for i in range(n)], results)
        return Measured(span.seconds, n, span.cpu)


def make(n):
    """Return arrays with different bytes, which no cache can take for one another."""
    import numpy as np

    return [np.random.default_rng(seed).random(FLOATS) + seed for seed in range(n)]


def verify(results):
    import numpy as np

    for seed, result in enumerate(results):
        if not np.array_equal(result, np.random.default_rng(seed).random(FLOATS) + seed + 1):
            raise WrongResults(f"array {seed} came back with other values")
