"""Many report at once what a workflow waits for: it goes on once, and no two stand in each other's way."""

from __future__ import annotations

import random
import threading
from collections import Counter

import psycopg
import pytest

from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush, WorkflowPlace
from tests.broker.contract.bench import ADDRESS, FAILURE, SUCCESS, TTL_MS, Bench, name, record
from tests.broker.contract.servers import Place

#: Steps of a layer, and for how many of the layer before each of its steps waits.
WIDE, NEEDS = 24, 3


@pytest.fixture
def bench(postgres_url):
    made = Bench(open_leg(Place(postgres_url, "tests")))
    yield made
    made.close()


def flush_of(workflow, layers, needs, earlier):
    """A workflow of single calls; the last one needs calls that were submitted before, too."""
    flush = Flush()
    flush.plan(workflow, b"plan")
    for depth in reversed(range(len(layers))):
        for place, batch in enumerate(layers[depth]):
            awaited = needs[depth][place]
            after = [
                other
                for at, other in enumerate(layers[depth + 1] if depth + 1 < len(layers) else [])
                if batch in needs[depth + 1][at]
            ]
            before = [(one, 0, 1) for one in earlier] if depth == len(layers) - 1 else []
            flush.batch(batch, 1, ADDRESS, "fn", b"function", b"label", TTL_MS)
            flush.step(batch, WorkflowPlace(workflow, tuple(awaited), tuple(after), (), False, tuple(before)))
            if awaited:
                flush.parked(batch, ADDRESS, "m", 0, 0, 1, b"the chunk")
                flush.all_parked(batch)
            else:
                flush.chunk(batch, ADDRESS, "m", 0, 0, 1, b"the chunk")
    return flush


class Hammer:
    """Workers that report several calls at once, in any order, and supervisors beside them."""

    def __init__(self, bench, calls, seed, fails=()):
        self.bench, self.fails, self.left = bench, fails, threading.Semaphore(0)
        self.ran, self.problems, self.over = Counter(), [], threading.Event()
        self.calls = calls
        self._random = random.Random(seed)
        self._threads = [
            *(threading.Thread(target=self._guarded, args=(self._work, number)) for number in range(4)),
            *(threading.Thread(target=self._guarded, args=(self._supervise, number)) for number in range(2)),
        ]

    def run(self):
        for thread in self._threads:
            thread.start()
        for _ in range(self.calls):
            if not self.left.acquire(timeout=60):
                break
        self.over.set()
        for thread in self._threads:
            thread.join(60)
        assert self.problems == []

    def _guarded(self, action, number):
        try:
            action(number)
        except Exception as error:  # noqa: BLE001 (told at the end of the test)
            self.problems.append(error)
            self.over.set()

    def _work(self, number):
        delivery = self.bench.delivery(f"w{number}/0")
        while not self.over.is_set():
            entries = delivery.take(self._random.randint(1, 4)) or delivery.wait(50)
            self._random.shuffle(entries)
            report = Finish()
            for entry in entries:
                self.ran[entry.batch] += 1
                state = FAILURE if entry.batch in self.fails else SUCCESS
                report.results(entry.batch, entry.first, state, record(entry.first, 1))
                report.done(entry)
            if entries:
                delivery.finish(report)
            for _ in entries:
                self.left.release()

    def _supervise(self, number):
        line, seen_to = self.bench.new_line(), []
        while not self.over.wait(0.01):
            line.queues().promote(ADDRESS, self.bench.now())
            seen_to = [one[:2] for one in line.workflows().take_fallout(10, 60_000, seen_to)]


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 10))])
def test_steps_that_are_reported_at_once_release_each_step_once(bench, postgres_server, postgres_url, seed):
    chance, submitted, fails = random.Random(seed), [], set()
    for _ in range(3):
        earlier = [bench.submitted(1) for _ in range(4)]
        layers = [[name() for _ in range(n)] for n in (WIDE, WIDE, WIDE, 1)]
        needs = [[[] for _ in layers[0]]]
        needs += [[chance.sample(before, NEEDS) for _ in range(WIDE)] for before in layers[:2]]
        needs.append([layers[2]])
        # What is reported in one step comes from several workflows, too.
        bench.submit(flush_of(name(), layers, needs, earlier))
        submitted += [*earlier, *(one for layer in layers for one in layer)]
        fails |= set(chance.sample(layers[0], 4))
    hammer = Hammer(bench, len(submitted), seed, fails)
    hammer.run()
    assert hammer.ran == Counter(submitted)
    assert all(one.ended_at is not None for one in bench.store.named(submitted))
    assert bench.left() == 0
    bench.close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert connection.execute(count).fetchone() == (0,), "rows are locked in one order"
        waits = "SELECT count(*) FROM nbtasks.waits"
        assert connection.execute(waits).fetchone() == (0,)


def test_what_follows_one_by_one_waits_for_earlier_calls_as_well(bench):
    """Fed by one batch, and in need of another one: whichever comes last makes it go on, once."""
    for earlier_first in (True, False):
        earlier, workflow = bench.submitted(1), name()
        feeds, fed = name(), name()
        flush = Flush()
        flush.batch(fed, 4, ADDRESS, "fn", b"function", b"label", TTL_MS)
        flush.step(fed, WorkflowPlace(workflow, earlier=((earlier, 0, 1),)))
        for first in (0, 2):
            flush.parked(fed, ADDRESS, "m", 0, first, 2, b"a chunk of two")
        flush.batch(feeds, 4, ADDRESS, "fn", b"function", b"label", TTL_MS)
        flush.step(feeds, WorkflowPlace(workflow, fed=((fed, 2),)))
        bench.submit(flush)
        report, last = Finish(), Finish()
        report.results(feeds, 1, SUCCESS * 2, record(1, 2))
        last.results(earlier, 0, SUCCESS, record(0, 1))
        steps = [last, report] if earlier_first else [report, last]
        bench.store.finish(steps[0])
        assert [one for one in bench.take_all(bench.worker) if one.batch == fed] == []
        bench.store.finish(steps[1])
        found = [(one.first, one.count) for one in bench.take_all(bench.worker) if one.batch == fed]
        assert sorted(found) == [(1, 1), (2, 1)]
        rest = Finish()
        rest.results(feeds, 0, SUCCESS, record(0, 1))
        rest.results(feeds, 3, SUCCESS, record(3, 1))
        bench.store.finish(rest)
        found = [(one.first, one.count) for one in bench.take_all(bench.worker) if one.batch == fed]
        assert sorted(found) == [(0, 1), (3, 1)]
        assert bench.line.stock().parked([fed]) == {fed: set()}


def test_nothing_is_left_of_workflows_when_their_results_have_gone(bench, postgres_url, eventually):
    earlier = bench.submitted(1, ttl_ms=1)
    first, second, workflow = name(), name(), name()
    flush = Flush()
    flush.plan(workflow, b"plan")
    flush.batch(second, 1, ADDRESS, "fn", b"function", b"label", 1)
    flush.step(second, WorkflowPlace(workflow, awaited=(first,), earlier=((earlier, 0, 1),)))
    flush.parked(second, ADDRESS, "m", 0, 0, 1, b"the chunk")
    flush.all_parked(second)
    flush.batch(first, 1, ADDRESS, "fn", b"function", b"label", 1)
    flush.step(first, WorkflowPlace(workflow, waiting=(second,)))
    flush.chunk(first, ADDRESS, "m", 0, 0, 1, b"the chunk")
    bench.submit(flush)
    report, (entry, *_) = Finish(), bench.worker.take(2)
    report.later(entry.batch, ADDRESS, "m", 1, 0, 2, b"the chunk", name(), [first])
    bench.worker.finish(report)
    bench.work_off()
    tables = ("batches", "results", "steps", "waits", "closing", "entries", "plans")

    def left():
        bench.forget_expired()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            return {
                table: n
                for table in tables
                if (n := connection.execute(f"SELECT count(*) FROM nbtasks.{table}").fetchone()[0])
            }

    eventually(lambda: left() == {}, "all of it has gone")


def test_a_large_step_is_released_step_by_step(bench):
    first, second, workflow, n = name(), name(), name(), 2500
    flush = Flush()
    flush.batch(second, n, ADDRESS, "fn", b"function", b"label", TTL_MS)
    flush.step(second, WorkflowPlace(workflow, awaited=(first,)))
    for index in range(n):
        flush.parked(second, ADDRESS, "m", 0, index, 1, b"the chunk")
    flush.all_parked(second)
    flush.batch(first, 1, ADDRESS, "fn", b"function", b"label", TTL_MS)
    flush.step(first, WorkflowPlace(workflow, waiting=(second,)))
    flush.chunk(first, ADDRESS, "m", 0, 0, 1, b"the chunk")
    bench.submit(flush)
    assert bench.end(bench.worker, bench.worker.take(1)[0]) == 1
    seen = [bench.left()]
    while bench.queues.promote(ADDRESS, bench.now())[1] == 0:
        seen.append(bench.left())
    assert seen == [1000, 2000, 2500]
    assert bench.line.stock().parked([second]) == {second: set()}
