"""Figures for Prometheus, under the names that exporters for Celery have given them, with ``nbtasks_`` before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from nbtasks.core.errors import NbtasksError
from nbtasks.monitor.tallies import BUCKETS, COUNTED

if TYPE_CHECKING:
    from nbtasks.monitor.monitor import Monitor

#: Of the text.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SAID = {
    "sent": "Calls submitted.",
    "started": "Attempts begun.",
    "succeeded": "Calls that have succeeded.",
    "failed": "Calls that have failed.",
    "retried": "Attempts that were followed by another.",
    "revoked": "Calls that were revoked.",
}


class Metrics:
    """Makes them of what a monitor knows; nothing is read or asked between two times."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> str:
        """Return all of them."""
        return generate_latest(self._registry).decode()

    def describe(self) -> list[Any]:
        """Say nothing before the first look, as prometheus_client has it."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield them; what cannot be asked is left out, and ``nbtasks_up`` is 0."""
        up = GaugeMetricFamily("nbtasks_up", "Whether the broker answers.")
        try:
            self._monitor.catch_up()
            asked = [*self._of_queues(), *self._of_workers()]
        except NbtasksError:
            up.add_metric([], 0)
            asked = []
        else:
            up.add_metric([], 1)
        yield up
        yield from self._of_tasks()
        yield from asked

    def _of_tasks(self) -> Iterator[Any]:
        tallies = self._monitor.tallies()
        labels, series = ["name", "hostname", "queue_name"], self._monitor.series()
        for place, what in enumerate(COUNTED):
            counter = CounterMetricFamily(f"nbtasks_task_{what}", _SAID[what], labels=labels)
            for key, counts in series.items():
                # Who has submitted calls has a line for that alone, and workers have one for all else, from 0 on.
                if counts[place] or (what != "sent" and any(counts[1:])):
                    counter.add_metric(key, counts[place])
            yield counter
        runtime = HistogramMetricFamily("nbtasks_task_runtime", "Seconds that calls ran.", labels=["name"])
        bounds = [*map(str, BUCKETS), "+Inf"]
        for name, tally in tallies.items():
            if tally.ran:
                runtime.add_metric([name], list(zip(bounds, tally.cumulated(), strict=True)), tally.sum_s)
        yield runtime

    def _of_queues(self) -> Iterator[Any]:
        labels = ["queue_name", "python", "key"]
        families = {
            "length": GaugeMetricFamily("nbtasks_queue_length", "Entries that wait.", labels=labels),
            "running": GaugeMetricFamily("nbtasks_queue_running", "Entries in hand.", labels=labels),
            "delayed": GaugeMetricFamily(
                "nbtasks_queue_delayed",
                "Entries that are due later, or wait for a limit or a lock.",
                labels=labels,
            ),
            "oldest": GaugeMetricFamily(
                "nbtasks_queue_oldest_seconds", "Seconds for which the first one has waited.", labels=labels
            ),
        }
        for one in self._monitor.queues.get():
            place = [one.address.queue, one.address.python, one.address.key_id]
            families["length"].add_metric(place, one.waiting)
            families["running"].add_metric(place, one.running)
            families["delayed"].add_metric(place, one.delayed)
            families["oldest"].add_metric(place, one.oldest_s or 0.0)
        yield from families.values()

    def _of_workers(self) -> Iterator[Any]:
        own, served = ["hostname"], ["queue_name"]
        up = GaugeMetricFamily("nbtasks_worker_up", "Whether a worker holds its lease.", labels=own)
        active = GaugeMetricFamily("nbtasks_worker_tasks_active", "Calls that run.", labels=own)
        memory = GaugeMetricFamily("nbtasks_worker_memory_bytes", "Resident memory.", labels=own)
        workers = GaugeMetricFamily("nbtasks_active_worker_count", "Workers of a queue.", labels=served)
        processes = GaugeMetricFamily("nbtasks_active_process_count", "Children for a queue.", labels=served)
        of_queue: dict[str, list[int]] = {}
        sums: dict[str, list[int]] = {}
        for one in self._monitor.workers.get():
            lives = self._monitor.lives(one.id)
            # Two of one name are one line.
            line = sums.setdefault(one.name, [0, 0, 0])
            line[0] |= lives
            line[1] += one.slots_busy if lives else 0
            line[2] += one.rss_bytes if lives else 0
            for queue in one.queues if lives else ():
                counts = of_queue.setdefault(queue, [0, 0])
                counts[0] += 1
                counts[1] += one.concurrency
        for name, (lives_there, busy, size) in sums.items():
            up.add_metric([name], lives_there)
            active.add_metric([name], busy)
            memory.add_metric([name], size)
        for queue, (n, children) in of_queue.items():
            workers.add_metric([queue], n)
            processes.add_metric([queue], children)
        yield from (up, active, memory, workers, processes)
