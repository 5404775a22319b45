"""Calls that wait: sleeps, and URLs from a server with latency."""

from __future__ import annotations

from benchmarks import tasks

from .base import Measured, Work, check

SLEEP_S = 0.05


class Waiting(Work):
    """Seconds for 1,000 calls. Peers with two slots do 100 and the figure is ten times theirs."""

    unit = "s"
    higher_is_better = False
    total = 1000

    def count(self, peer, quick):
        n = self.total // 10 if peer.setting.pool == "process" else self.total
        return max(20, n // 5) if quick else n

    def map(self, peer, meter, task, items, expected):
        peer.map(task, items[:64])  # fills the slots once: threads, HTTP clients
        peer.tune(task, items)
        with meter.span() as span:
            results = peer.map(task, items)
        check(expected, results)
        seconds = span.seconds * self.total / len(items)
        return Measured(seconds, len(items), span.cpu, {"measured_s": span.seconds})


class ThreadSleeps(Waiting):
    """Blocking sleeps in the workers' threads."""

    name = "sleeps_threads"
    title = "1,000 sleeps of 50 ms, 2 × 32 threads"
    pool = "threads"
    or_processes = True

    def measure(self, peer, meter, quick):
        items = [SLEEP_S] * self.count(peer, quick)
        return self.map(peer, meter, tasks.nap, items, items)


class AsyncSleeps(Waiting):
    """Sleeping coroutines in the workers' event loops."""

    name = "sleeps_async"
    title = "1,000 sleeps of 50 ms, 2 × 100 coroutines"
    pool = "async"

    def suits(self, peer):
        return "async" in peer.pools

    def measure(self, peer, meter, quick):
        items = [SLEEP_S] * self.count(peer, quick)
        return self.map(peer, meter, tasks.anap, items, items)


class Fetches(Waiting):
    """URLs by httpx, from a loopback server that takes 50 ms for each."""

    task = None

    def measure(self, peer, meter, quick):
        from .http import LATENCY_S, PAGE, HttpServer  # asyncio: 30 ms of somebody's first result

        with HttpServer() as server:
            items = [f"{server.url}/{i}" for i in range(self.count(peer, quick))]
            measured = self.map(peer, meter, type(self).task, items, [len(PAGE)] * len(items))
        measured.details["latency_s"] = LATENCY_S
        return measured


class ThreadFetches(Fetches):
    name = "fetches_threads"
    title = "1,000 URLs with httpx, 50 ms latency, 2 × 32 threads"
    pool = "threads"
    or_processes = True
    task = staticmethod(tasks.fetch)


class AsyncFetches(Fetches):
    name = "fetches_async"
    title = "1,000 URLs with httpx, 50 ms latency, 2 × 100 coroutines"
    pool = "async"
    task = staticmethod(tasks.afetch)

    def suits(self, peer):
        return "async" in peer.pools
