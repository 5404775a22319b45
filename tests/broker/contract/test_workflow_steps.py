"""Batches that wait for others run once, and after what they wait for; whatever fails is passed on by somebody."""

from __future__ import annotations

import pytest

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush, WorkflowPlace
from nbtasks.core.lanenames import LANES

from .bench import ADDRESS, FAILURE, REVOKED, SUCCESS, TTL_MS, name, record

#: Calls of a chunk.
SIZE = 2
#: Each node: its number of calls, and the nodes that it waits for; "each": call by call; (first, count): calls of a
#: batch that was submitted before the workflow, and is in none.
CHAIN = [(1, []), (1, [(0, "all")]), (1, [(1, "all")])]
SHAPES = {
    "chain": CHAIN,
    "chord": [(3, []), (1, [(0, "all")])],
    "mixed": [(2, []), (3, []), (1, [(0, "all"), (1, "all")])],
    "each": [(3, []), (3, [(0, "each")]), (1, [(1, "all")])],
    "diamond": [(1, []), (1, [(0, "all")]), (3, [(0, "all")]), (1, [(1, "all"), (2, "all")])],
    "chords": [(3, []), (1, [(0, "all")]), (6, [(1, "all")]), (1, [(2, "all")])],
    "large": [(1, []), (500, [(0, "all")]), (1, [(1, "all")])],
    "after a call": [(3, []), (1, [(0, (1, 1))]), (1, [(1, "all")])],
    "after two": [(2, []), (2, []), (3, [(0, (0, 2)), (1, (1, 1))])],
}


class Workflow:
    """A workflow, a worker that runs it, and what can be seen of it."""

    def __init__(self, bench, shape, delays=None, ttl_ms=TTL_MS, excuses=False) -> None:
        self.bench, self.shape, self.ttl_ms, self.excuses = bench, shape, ttl_ms, excuses
        self.id = name()
        self.names = [name() for _ in shape]
        self.delays = delays or {}
        #: (node, index) of each call, as often as it was run.
        self.ran: list[tuple[int, int]] = []
        #: Nodes that are submitted before, and belong to no workflow.
        self.before = {of for _, ins in shape for of, kind in ins if isinstance(kind, tuple)}
        self.store, self.parts = bench.store, bench.line.workflows()

    def flush(self, nodes) -> Flush:
        flush = Flush()
        if len(self.shape) - 1 in nodes:
            flush.plan(self.id, b"plan")
        for node in sorted(nodes, reverse=True):
            self._add(flush, node)
        return flush

    def _add(self, flush: Flush, node: int) -> None:
        n, ins = self.shape[node]
        after = [(later, kind) for later, (_, its) in enumerate(self.shape) for of, kind in its if of == node]
        place = WorkflowPlace(
            self.id,
            tuple(self.names[of] for of, kind in ins if kind == "all"),
            tuple(self.names[later] for later, kind in after if kind == "all"),
            tuple((self.names[later], SIZE) for later, kind in after if kind == "each"),
            self.excuses,
            tuple((self.names[of], *kind) for of, kind in ins if isinstance(kind, tuple)),
        )
        batch = self.names[node]
        flush.batch(batch, n, ADDRESS, "fn", b"function", b"label", self.ttl_ms)
        if node not in self.before:
            flush.step(batch, place)
        for first in range(0, n, SIZE):
            count, frame = min(SIZE, n - first), b"the chunk of %d from %d on" % (node, first)
            if ins:
                flush.parked(batch, ADDRESS, "m", self.delays.get(node, 0), first, count, frame)
            else:
                flush.chunk(batch, ADDRESS, "m", 0, first, count, frame)
        if place.awaited or place.earlier:
            flush.all_parked(batch)

    def submit_before(self) -> None:
        """What belongs to no workflow."""
        for node in sorted(self.before):
            self.bench.submit(self.flush([node]))

    def submit(self) -> None:
        """All the rest in one flush."""
        self.bench.submit(self.flush([node for node in range(len(self.shape)) if node not in self.before]))

    def is_ready(self, node: int, index: int) -> bool:
        for of, kind in self.shape[node][1]:
            first, count = (index, 1) if kind == "each" else (0, self.shape[of][0])
            if isinstance(kind, tuple):
                first, count = kind
            if 0 in self.store.states(self.names[of], first, count):
                return False
        return True

    def step(self, fails=()) -> bool:
        """Take one entry and run it; returns whether there was one."""
        entries = self.bench.worker.take(1)
        for entry in entries:
            node, report = self.names.index(entry.batch), Finish()
            for index in range(entry.first, entry.first + entry.count):
                assert self.is_ready(node, index), "it came too early"
                self.ran.append((node, index))
                state = FAILURE if (node, index) in fails else SUCCESS
                report.results(entry.batch, index, state, record(index, 1))
            report.done(entry)
            self.bench.worker.finish(report)
        return bool(entries)

    def work_off(self, fails=()) -> None:
        """Run everything, as workers and their supervisors do."""
        while self.step(fails) or self.promote():
            pass

    def promote(self) -> bool:
        """Queue what is due; returns whether there is something to do after it."""
        moved, next_s = self.bench.queues.promote(ADDRESS, self.bench.now())
        return bool(moved or next_s == 0 or self.bench.queues.waiting(ADDRESS, LANES))

    def ended(self) -> list[bool]:
        return [self.store.batch(one).ended_at is not None for one in self.names]


def calls_of(shape) -> list[tuple[int, int]]:
    return [(node, index) for node, (n, _) in enumerate(shape) for index in range(n)]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_each_call_runs_once_and_after_what_it_waits_for(bench, shape):
    run = Workflow(bench, shape)
    run.submit_before()
    run.submit()
    run.work_off()
    assert sorted(run.ran) == calls_of(shape)
    assert all(run.ended())
    assert bench.left() == 0
    assert bench.line.stock().parked(run.names) == {one: set() for one in run.names}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_has_ended_before_a_step_is_sent_is_not_waited_for(bench, shape):
    run = Workflow(bench, shape)
    run.submit_before()
    run.work_off()
    for node in range(len(shape)):
        if node not in run.before:
            bench.submit(run.flush([node]))
            run.work_off()
    if shape != SHAPES["each"]:
        # There what is fed call by call must be known before what feeds it, as the client sends it.
        assert sorted(run.ran) == calls_of(shape)


def test_those_that_come_later_may_be_sent_first(bench):
    run = Workflow(bench, SHAPES["each"])
    for node in reversed(range(3)):
        bench.submit(run.flush([node]))
        run.work_off()
    assert sorted(run.ran) == calls_of(SHAPES["each"])


def test_what_waits_lies_in_no_queue(bench):
    run = Workflow(bench, SHAPES["chord"])
    run.submit()
    assert bench.left() == 2
    assert bench.line.stock().parked(run.names) == {run.names[0]: set(), run.names[1]: {0}}
    assert bench.line.stock().look(ADDRESS, run.names).found[run.names[1]] == []
    assert bench.line.stock().parked([]) == {}


def test_calls_follow_calls_one_by_one(bench):
    run = Workflow(bench, [(4, []), (4, [(0, "each")])])
    run.submit()
    first, second = bench.worker.take(2)
    bench.end(bench.worker, second)
    (followed,) = bench.worker.take(1)
    assert (followed.batch, followed.first, followed.count) == (run.names[1], 2, 2)
    assert followed.before in (None, (2, 2))
    assert bench.worker.take(1) == []
    bench.end(bench.worker, first)
    assert [one.first for one in bench.worker.take(1)] == [0]


def test_a_step_may_be_due_some_time_after_the_one_before(bench):
    run = Workflow(bench, CHAIN, delays={1: 60_000})
    run.submit()
    assert run.step()
    now = bench.now()
    assert not run.step()
    moved, next_s = bench.queues.promote(ADDRESS, now)
    assert moved == 0
    assert 50 < next_s < 70
    assert bench.queues.promote(ADDRESS, now + 70)[0] == 1
    run.work_off()
    assert sorted(run.ran) == calls_of(CHAIN)


def test_what_is_revoked_before_its_turn_is_not_queued(bench):
    run = Workflow(bench, CHAIN)
    run.submit()
    report = Finish()
    for node in (1, 2):
        report.results(run.names[node], 0, REVOKED, b"revoked")
    bench.store.finish(report)
    run.work_off()
    assert run.ran == [(0, 0)]
    assert all(run.ended())


def test_a_failure_is_passed_on_by_one_who_takes_it(bench):
    run = Workflow(bench, SHAPES["chord"])
    run.submit()
    assert run.parts.take_fallout(10, 60_000, []) == []
    run.work_off(fails={(0, 1)})
    ((found, mark, silent_s),) = run.parts.take_fallout(10, 60_000, [])
    assert (found, silent_s) == (run.id, 0.0)
    assert bench.store.plan(found) == b"plan"
    assert run.parts.take_fallout(10, 60_000, []) == [], "somebody sees to it"
    assert run.parts.take_fallout(10, 60_000, [(found, mark)]) == []


def test_who_takes_a_failure_and_dies_leaves_it_to_another(bench, eventually):
    run = Workflow(bench, CHAIN)
    run.submit()
    run.step(fails={(0, 0)})
    assert run.parts.take_fallout(10, 50, [])
    eventually(lambda: [one for one, *_ in run.parts.take_fallout(10, 50, [])] == [run.id], "taken again")


def test_a_failure_while_another_is_passed_on_is_not_forgotten(bench):
    run = Workflow(bench, [(3, []), (1, [(0, "all")])])
    run.submit()
    run.step(fails=calls_of(run.shape))
    ((found, mark, _),) = run.parts.take_fallout(10, 60_000, [])
    run.step(fails=calls_of(run.shape))
    again = run.parts.take_fallout(10, 60_000, [(found, mark)])
    assert [one for one, *_ in again] == [run.id]


def test_a_failure_of_an_earlier_call_counts(bench):
    for early in (True, False):
        run = Workflow(bench, SHAPES["after a call"])
        run.submit_before()
        if early:
            run.step(fails={(0, 1)})
            run.submit()
        else:
            run.submit()
            run.step(fails={(0, 1)})
        assert run.id in [one for one, *_ in run.parts.take_fallout(10, 60_000, [])]
        run.work_off()


def test_a_workflow_of_which_a_part_has_come_is_found_later(bench):
    run, flush = Workflow(bench, CHAIN), Flush()
    flush.incoming(run.id, all_there=False)
    bench.submit(flush)
    # For a minute its client is believed.
    assert run.parts.take_fallout(10, 1, []) == []
    there = run.flush(range(3))
    there.incoming(run.id, all_there=True)
    bench.submit(there)
    run.work_off()
    assert sorted(run.ran) == calls_of(CHAIN)


def test_results_are_kept_until_the_last_batch_has_ended(bench, eventually):
    run = Workflow(bench, CHAIN, ttl_ms=50)
    run.submit()
    run.step()
    began = bench.now()
    eventually(lambda: bench.now() > began + 0.1, "longer than results are kept")
    bench.forget_expired()
    assert bench.store.states(run.names[0], 0, 1) == SUCCESS
    run.work_off()

    def is_gone():
        bench.forget_expired()
        return all(bench.store.batch(one) is None for one in run.names)

    eventually(is_gone, "they go together")
