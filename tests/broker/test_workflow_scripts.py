"""The server advances a workflow: a batch is queued when what it waits for has ended, wherever a script is cut off."""

from __future__ import annotations

import pytest

from nbtasks.broker.redis.keys import GROUP
from nbtasks.broker.redis.lanes import Lanes
from nbtasks.broker.redis.redisdelivery import RedisDelivery
from nbtasks.broker.redis.redisstore import RedisStore
from nbtasks.broker.redis.redissubmission import RedisSubmission
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush, WorkflowPlace
from nbtasks.core.lanenames import LANES

from .test_scripts import ADDRESS, KEYS, Cut, CutLink, one_server

__all__ = ["one_server"]

WORKFLOW = "f0"
SUCCESS, FAILURE = 4, 5
#: Calls in a parked chunk.
SIZE = 2

#: Each node: its number of calls, and the nodes that it waits for; "each": call by call; (first, count): calls of a
#: batch that was submitted before the workflow, and is in none.
CHAIN = [(1, []), (1, [(0, "all")]), (1, [(1, "all")])]
CHORD = [(3, []), (1, [(0, "all")])]
MIXED_CHORD = [(2, []), (3, []), (1, [(0, "all"), (1, "all")])]
EACH = [(3, []), (3, [(0, "each")]), (1, [(1, "all")])]
DIAMOND = [(1, []), (1, [(0, "all")]), (3, [(0, "all")]), (1, [(1, "all"), (2, "all")])]
CHORD_CHAIN_CHORD = [(3, []), (1, [(0, "all")]), (6, [(1, "all")]), (1, [(2, "all")])]
SHAPES = {
    "chain": CHAIN,
    "chord": CHORD,
    "mixed": MIXED_CHORD,
    "each": EACH,
    "diamond": DIAMOND,
    "chord-chain-chord": CHORD_CHAIN_CHORD,
}
AFTER_CALL = [(3, []), (1, [(0, (1, 1))]), (1, [(1, "all")])]
AFTER_GROUP = [(3, []), (1, [(0, (0, 3))])]
AFTER_TWO = [(2, []), (2, []), (3, [(0, (0, 2)), (1, (1, 1))])]
LATER = {"after-call": AFTER_CALL, "after-group": AFTER_GROUP, "after-two": AFTER_TWO}


class Workflow:
    """A workflow on a server, workers that run it, and what can be seen of it."""

    def __init__(self, server, shape, delays=None) -> None:
        self.raw = server.client()
        self.raw.flushall()
        self.link = CutLink(server.url)
        self.store = RedisStore(self.link, KEYS)
        self.submission = RedisSubmission(self.link, KEYS)
        self.lanes = Lanes(self.link, KEYS, [ADDRESS])
        self.worker = RedisDelivery(self.lanes, "w1/0")
        self.worker.prepare()
        self.shape = shape
        self.names = [f"ab{number:02x}" for number in range(len(shape))]
        self.delays = delays or {}
        #: (node, index) of each call, as often as it was run.
        self.ran: list[tuple[int, int]] = []
        self.number = 0
        #: Nodes that are submitted before, and belong to no workflow.
        self.before = {of for _, ins in shape for of, kind in ins if isinstance(kind, tuple)}

    def close(self) -> None:
        self.link.close()
        self.raw.close()

    # -- submitting

    def flush(self, nodes=None) -> Flush:
        """Return the submit of some nodes, or of all: what comes later first."""
        flush = Flush()
        wanted = [n for n in range(len(self.shape)) if n not in self.before] if nodes is None else nodes
        if len(self.shape) - 1 in wanted:
            flush.plan(WORKFLOW, b"plan")
        for node in reversed(wanted):
            self._add(flush, node)
        return flush

    def _add(self, flush: Flush, node: int) -> None:
        n, ins = self.shape[node]
        name = self.names[node]
        after = [(later, kind) for later, (_, its) in enumerate(self.shape) for of, kind in its if of == node]
        place = WorkflowPlace(
            WORKFLOW,
            tuple(self.names[of] for of, kind in ins if kind == "all"),
            tuple(self.names[later] for later, kind in after if kind == "all"),
            tuple((self.names[later], SIZE) for later, kind in after if kind == "each"),
            earlier=tuple((self.names[of], *kind) for of, kind in ins if isinstance(kind, tuple)),
        )
        flush.batch(name, n, ADDRESS, "fn", b"function", b"label", 60_000)
        if node not in self.before:
            flush.step(name, place)
        for first in range(0, n, SIZE):
            count = min(SIZE, n - first)
            frame = b"the chunk of %d from %d on, long enough" % (node, first)
            if ins:
                flush.parked(name, ADDRESS, "m", self.delays.get(node, 0), first, count, frame)
            else:
                flush.chunk(name, ADDRESS, "m", 0, first, count, frame)
        if place.awaited or place.earlier:
            flush.all_parked(name)

    def submit(self, nodes=None) -> None:
        self.submission.submit("5e", self.number + 1, self.flush(nodes))
        self.number += 1

    # -- running

    def is_ready(self, node: int, index: int) -> bool:
        """Whether what a call waits for has ended, as a child looks at it."""
        for of, kind in self.shape[node][1]:
            first, count = (index, 1) if kind == "each" else (0, self.shape[of][0])
            if isinstance(kind, tuple):
                first, count = kind
            if 0 in self.store.states(self.names[of], first, count):
                return False
        return True

    def step(self, fails=()) -> bool:
        """Take one entry, held or queued, and run it; returns whether there was one."""
        entries = self.worker.in_hand() or self.worker.take(1)
        for entry in entries[:1]:
            self.run(entry, fails)
        return bool(entries)

    def run(self, entry: Entry, fails=()) -> None:
        node = self.names.index(entry.batch)
        states = self.store.states(entry.batch, entry.first, entry.count)
        report = Finish()
        for place in range(entry.count):
            index = entry.first + place
            # What waits for something that is not there was queued by a script that was cut off: it comes again.
            if not states[place] and self.is_ready(node, index):
                self.ran.append((node, index))
                state = FAILURE if (node, index) in fails else SUCCESS
                report.results(entry.batch, index, bytes([state]), b"record %d" % index)
        report.done(entry)
        self.worker.finish(report)

    def work_off(self, fails=()) -> None:
        """Run everything, as workers do; what a crash has left undone at the end of a batch, the sweep does."""
        while self.step(fails) or self.sweep():
            pass

    # -- what there is in the end

    def sweep(self) -> bool:
        """See which batches are over, as supervisors do now and then; returns whether something is queued then."""
        for name in self.names:
            report = Finish()
            report.counted(name)
            self.worker.finish(report)
        return any(self.raw.xlen(KEYS.lane(ADDRESS, lane)) for lane in LANES)

    def check_end(self) -> None:
        """Every call has a result, nothing is left but that, and it goes when its time is over."""
        self.sweep()
        for name, (n, _) in zip(self.names, self.shape, strict=True):
            assert 0 not in self.store.states(name, 0, n)
            for key in (KEYS.batch(name), KEYS.states(name), KEYS.records(name)):
                assert self.raw.pttl(key) > 0, key
            assert not self.raw.exists(KEYS.parked(name), KEYS.awaited(name))
        for key in (KEYS.plan(WORKFLOW), KEYS.workflow(WORKFLOW)):
            assert self.raw.pttl(key) > 0
        assert not self.raw.exists(f"{KEYS.root}wo:{WORKFLOW}", f"{KEYS.root}rel")
        for lane in LANES:
            assert self.raw.xlen(KEYS.lane(ADDRESS, lane)) == 0
            assert self.raw.xpending(KEYS.lane(ADDRESS, lane), GROUP)["pending"] == 0
        assert not self.raw.exists(KEYS.delayed(ADDRESS))


LONG = {"diamond", "chord-chain-chord", "mixed"}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in SHAPES])
def shape(request):
    return SHAPES[request.param]


@pytest.fixture
def workflow(one_server):
    """Return what makes a workflow of a shape on an empty server."""
    made = []

    def make(shape, **more):
        made.append(Workflow(one_server, shape, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def calls_of(shape):
    return {(node, index) for node, (n, _) in enumerate(shape) for index in range(n)}


def test_a_workflow_may_be_submitted_in_any_number_of_flushes(workflow, shape):
    run = workflow(shape)
    for node in reversed(range(len(shape))):
        run.submit([node])
        run.work_off()
    run.work_off()
    assert sorted(run.ran) == sorted(calls_of(shape))
    run.check_end()


def cut_runs(one_server, shape, script, **more):
    """Yield a workflow for each write of each run of a script, cut there; the rest is up to the caller.

    Yields pairs: a function that runs the workflow to its end and returns whether it was cut, and the workflow.
    """
    writes, past = 0, 0
    while True:
        run = Workflow(one_server, shape, **more)
        seen = CutAt(run.link, script, past, writes)
        run.link.script = seen
        try:
            yield run, seen
        finally:
            run.link.close()
            run.raw.close()
        if seen.cut:
            writes += 1
        elif writes:
            # That run of the script ends here: on to the next one.
            writes, past = 0, past + 1
        else:
            return


class CutAt:
    """Runs scripts; cuts one off in its run number ``past``, after some writes."""

    def __init__(self, link, script, past, writes) -> None:
        self._real = link.script
        self._link, self._script, self._past, self._writes = link, script, past, writes
        self.cut = False

    def __call__(self, name, keys, args, eager=False):
        if name != self._script or self.cut:
            return self._real(name, keys, args, eager)
        if self._past:
            self._past -= 1
            return self._real(name, keys, args, eager)
        self._script = ""
        self._link.cut_name, self._link.writes = name, self._writes
        try:
            return self._real(name, keys, args, eager)
        except Cut:
            self.cut = True
            raise
        finally:
            self._link.cut_name = ""


def try_until_done(action):
    """Do something again that was cut off, as clients and workers do."""
    while True:
        try:
            return action()
        except Cut:
            continue


@pytest.mark.parametrize("script", ["submit", "finish"])
def test_every_cut(one_server, shape, script):
    cuts = 0
    for run, seen in cut_runs(one_server, shape, script):
        try_until_done(run.submit)
        try_until_done(run.work_off)
        cuts += seen.cut
        assert set(run.ran) == calls_of(shape)
        try_until_done(run.check_end)
    assert cuts > 10


@pytest.mark.parametrize("script", ["submit", "finish"])
def test_every_cut_of_a_workflow_whose_steps_wait(one_server, script):
    """A countdown of a step counts from the end of the one before."""

    def work_off(run):
        while run.step() or run.sweep() or run.raw.exists(KEYS.delayed(ADDRESS)):
            later = run.link.script("time", [KEYS.root], [])[0] // 1000 + 10_000
            run.link.script("promote", [KEYS.root], [ADDRESS, later, 200])

    for run, _ in cut_runs(one_server, CHAIN, script, delays={1: 5_000}):
        try_until_done(run.submit)
        try_until_done(lambda run=run: work_off(run))
        assert set(run.ran) == calls_of(CHAIN)
        try_until_done(run.check_end)


def test_a_large_step_is_released_by_and_by(one_server):
    """Its chunks are more than one script moves; whoever promotes what is due goes on, wherever it is cut off."""
    shape = [(1, []), (700, [(0, "all")]), (1, [(1, "all")])]

    def work_off(run):
        while run.step() or run.sweep() or run.raw.exists(f"{KEYS.root}rel"):
            run.link.script("promote", [KEYS.root], [ADDRESS, 0, 200])

    run = Workflow(one_server, shape)
    for script, writes in (("", 0), ("finish", 150), ("promote", 0), ("promote", 101), ("promote", 302)):
        run = Workflow(one_server, shape)
        run.link.script = seen = CutAt(run.link, script, 0, writes)
        run.submit()
        try_until_done(lambda run=run: work_off(run))
        assert seen.cut == bool(script)
        assert set(run.ran) == calls_of(shape)
        run.check_end()
        run.close()


def test_results_are_kept_until_the_last_batch_has_ended(workflow):
    run = workflow(CHAIN)
    run.submit()
    run.step()
    run.step()
    run.sweep()
    for name in run.names:
        assert run.raw.ttl(KEYS.batch(name)) == -1
    assert run.raw.ttl(KEYS.records(run.names[0])) == -1
    run.work_off()
    run.check_end()


def test_what_is_revoked_before_it_is_released_is_not_queued(workflow):
    run = workflow(CHORD_CHAIN_CHORD)
    run.submit()
    report = Finish()
    for node in (3, 2, 1):
        n = run.shape[node][0]
        report.results(run.names[node], 0, b"\x06" * n, b"revoked")
    run.worker.finish(report)
    run.work_off()
    assert {node for node, _ in run.ran} == {0}
    run.check_end()


def test_a_failure_asks_for_somebody_who_passes_it_on(workflow):
    run = workflow(EACH)
    run.submit()
    run.work_off(fails={(0, 1)})

    def take(*seen_to):
        rows = run.link.script("fallout", [KEYS.root], [10, 60_000, *seen_to])
        return [(name.decode(), mark.decode()) for name, mark in rows]

    first = take()
    assert [name for name, _ in first] == [WORKFLOW]
    # Somebody sees to it.
    assert take() == []
    assert take(*first[0]) == []
    assert not run.raw.exists(KEYS.fallout)
    run.check_end()


def test_a_batch_that_is_recorded_again_does_not_wait_for_what_has_ended(workflow):
    """Somebody has deleted it from the server after what it waits for had ended."""
    run = workflow(CHORD)
    run.submit()
    run.work_off()
    run.raw.delete(KEYS.batch(run.names[1]), KEYS.states(run.names[1]), KEYS.records(run.names[1]))
    run.ran.clear()
    run.submit([1])
    run.link.script("promote", [KEYS.root], [ADDRESS, 0, 200])
    run.work_off()
    assert run.ran == [(1, 0)]
    run.check_end()


PUT_ASIDE = "a51de"


def put_aside(run, entry):
    """End an attempt of a call whose place others take: those of the other nodes."""
    report = Finish()
    later = run.link.script("time", [KEYS.root], [])[0] // 1000 + 3_600_000
    report.later(
        entry.batch, entry.address, "m", later, 0, entry.attempt, entry.frame, PUT_ASIDE, run.names[1:]
    )
    report.done(entry)
    run.worker.finish(report)


@pytest.mark.parametrize("ended", [False, True])
def test_every_cut_of_a_call_that_is_put_aside(one_server, ended):
    """It goes on when what has taken its place has ended: before or after it was put aside."""
    shape = [(1, []), (3, []), (1, [])]

    def work_off(run):
        while run.step() or run.sweep() or run.raw.zcount(KEYS.delayed(ADDRESS), 0, 1):
            run.link.script("promote", [KEYS.root], [ADDRESS, 1, 200])

    cuts = 0
    for run, seen in cut_runs(one_server, shape, "finish"):
        run.submit([0])
        (entry,) = run.worker.take(1)
        run.submit([1, 2])
        if ended:
            others = run.worker.take(10)
            try_until_done(lambda run=run, others=others: [run.run(one) for one in others])
        try_until_done(lambda run=run, entry=entry: put_aside(run, entry))
        try_until_done(lambda run=run: work_off(run))
        cuts += seen.cut
        assert run.ran[-1] == (0, 0)
        assert not run.raw.exists(KEYS.parked(PUT_ASIDE), KEYS.awaited(PUT_ASIDE), KEYS.delayed(ADDRESS))
        assert all(run.raw.ttl(KEYS.batch(name)) > 0 for name in run.names)
    assert cuts > 5


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.long] * (name != "after-call")) for name in LATER]
)
def later(request):
    return LATER[request.param]


@pytest.mark.parametrize("script", ["submit", "finish"])
@pytest.mark.parametrize("steps", [0, 9, pytest.param(1, marks=pytest.mark.long)])
def test_a_workflow_begins_when_earlier_calls_have_ended(one_server, later, script, steps):
    """Whatever has ended of them when it is submitted, and wherever a script is cut off."""
    for run, _ in cut_runs(one_server, later, script):
        try_until_done(lambda run=run: run.submit(sorted(run.before)))
        for _ in range(steps):
            try_until_done(run.step)
        try_until_done(run.submit)
        run.link.script("promote", [KEYS.root], [ADDRESS, 0, 200])
        try_until_done(run.work_off)
        assert set(run.ran) == calls_of(later)
        try_until_done(run.check_end)


def test_a_workflow_waits_for_those_calls_alone_that_it_names(workflow):
    run = workflow(AFTER_CALL)
    run.submit([0])
    run.submit()
    entries = run.worker.take(2)
    assert [(entry.first, entry.count) for entry in entries] == [(0, 2), (2, 1)]
    run.run(entries[0])
    for _ in range(2):
        run.run(run.worker.take(1)[0])
    assert run.ran == [(0, 0), (0, 1), (1, 0), (2, 0)]
    run.run(entries[1])
    run.check_end()


def test_what_a_workflow_needs_of_earlier_calls_is_kept_until_it_has_ended(workflow):
    run = workflow([(1, []), (1, []), (1, [(0, (0, 1)), (1, (0, 1))])])
    run.submit([0])
    run.step()
    assert run.raw.ttl(KEYS.batch(run.names[0])) > 0
    run.submit([1])
    run.submit()
    for kind in (KEYS.batch, KEYS.states, KEYS.records):
        assert run.raw.ttl(kind(run.names[0])) == -1
    run.sweep()
    assert run.raw.ttl(KEYS.batch(run.names[0])) == -1
    run.work_off()
    run.check_end()


def test_a_workflow_that_has_ended_first_leaves_earlier_calls_alone(workflow):
    run = workflow(AFTER_GROUP)
    run.submit([0])
    run.submit()
    report = Finish()
    report.results(run.names[1], 0, b"\x06", b"revoked")
    run.worker.finish(report)
    assert run.raw.ttl(KEYS.batch(run.names[0])) == -1
    run.work_off()
    assert {node for node, _ in run.ran} == {0}
    run.check_end()


def test_a_failure_of_an_earlier_call_asks_for_somebody_who_passes_it_on(workflow):
    run = workflow(AFTER_GROUP)
    run.submit([0])
    run.submit()
    run.step(fails={(0, 0)})
    assert [name.decode() for name, _ in run.link.script("fallout", [KEYS.root], [10, 60_000])] == [WORKFLOW]
    late = workflow(AFTER_GROUP)
    late.submit([0])
    late.step(fails={(0, 0)})
    late.submit()
    assert [name.decode() for name, _ in late.link.script("fallout", [KEYS.root], [10, 60_000])] == [WORKFLOW]
