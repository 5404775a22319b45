"""A workflow comes to its end, whoever dies in the middle of it: a child, a worker, the server, its client."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbtasks import AsyncResult, task
from nbtasks.core.errors import CallError, ChordError, WorkerLostError
from tests.workflows import Run, each, many, one

from .conftest import every_leg
from .sites import DURABLE
from .test_server import everywhere

N = 200


@task
def work(x, seconds):
    time.sleep(seconds)
    return x


@task
def more(x):
    return x + 1


@task
def total(numbers):
    return sum(numbers)


@task
def pause(x, path):
    """Wait until the test has opened the gate."""
    while not os.path.exists(path):  # noqa: PTH110
        time.sleep(0.01)
    return x


def long_workflow(app, n=N, seconds=0.01):
    """A group of chains of two, a sum, a second group, a sum."""
    return Run(
        app,
        (work, [(x, seconds) for x in range(n)], []),
        (more, [()] * n, [each(0, n)]),
        (total, [()], [many((1, n))]),
        (work, [seconds] * 20, [one(2)]),
        (total, [()], [many((3, 20))]),
    )


def check(run, n=N):
    """Every value is right."""
    assert run.of(4).get(timeout=120) == 20 * (sum(range(n)) + n)
    assert run.values(1) == [x + 1 for x in range(n)]
    assert set(run.states()) == {"SUCCESS"}


def ended(run):
    """How many of its calls have ended."""
    return sum(batch.finished_count for batch in run.batches)


@pytest.mark.long
@every_leg
def test_children_are_killed(idle_app, machine, eventually):
    """Again and again, also between a result and the release of what waits for it."""
    worker = machine(idle_app, concurrency=2)
    run = long_workflow(idle_app)
    for _ in range(6):
        before = ended(run)
        # A call that is hit three times in a row is given up.
        eventually(lambda before=before: ended(run) > before, "something has ended since")
        if run.batches[4].done:
            break
        for pid in worker.children()[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    check(run)


@pytest.mark.long
@every_leg
def test_a_worker_is_killed(idle_app, machine, eventually):
    first = machine(idle_app, concurrency=2)
    machine(idle_app, concurrency=2)
    run = long_workflow(idle_app)
    eventually(lambda: run.batches[0].finished_count > 20, "a part of it has ended")
    first.end()
    check(run)


@everywhere
def test_the_server_is_killed(site, eventually, flavour):
    here = site(flavour, *DURABLE)
    run = long_workflow(here.app)
    for batch in (run.batches[0], run.batches[3]):
        eventually(lambda batch=batch: batch.finished_count > 3, "a part of it has ended", within=60)
        here.server.kill()
        time.sleep(0.2)
        here.server.start()
    check(run)


@pytest.mark.parametrize("node", [0, 2])
def test_the_server_comes_back_empty(site, eventually, node, tmp_path):
    """What has ended is told again, and the rest is parked again; a step that runs is not lost either."""
    here = site("bundled")
    gate = str(tmp_path / "gate")
    nodes = [
        (more, list(range(10)), []),
        (more, [()] * 10, [each(0, 10)]),
        (total, [()], [many((1, 10))]),
        (more, [()], [one(2)]),
    ]
    held = (pause, [(x, gate) for x in range(10)], []) if node == 0 else (pause, [gate], [one(2)])
    nodes[0 if node == 0 else 3] = held
    run = Run(here.app, *nodes)
    before = sum(len(calls) for _, calls, _ in nodes[:3]) if node else 0
    eventually(
        lambda: sum(batch.finished_count for batch in run.batches) >= before, "all before it have ended"
    )
    here.server.kill()
    here.server.start()
    with open(gate, "w"):  # noqa: PTH123
        pass
    expected = sum(range(10)) + 10 * (1 if node == 0 else 2) + (1 if node == 0 else 0)
    assert run.of(3).get(timeout=120) == expected
    assert set(run.states()) == {"SUCCESS"}


#: Where Python finds tests/ in another process.
ROOT = Path(__file__).parents[2]

CLIENT = """
import sys, time
sys.path.insert(0, sys.argv[3])
from nbtasks import App
from tests.workflows import Run
from tests.chaos import test_workflows as t
app = App("client", broker=sys.argv[1], namespace=sys.argv[2])
run = t.long_workflow(app)
app.engine.flush()
print(run.of(4).id, run.batches[1].id, flush=True)
time.sleep(600)
"""


@pytest.mark.long
@every_leg
def test_the_client_that_has_submitted_it_is_killed(idle_app, machine):
    connection = idle_app.connection
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, connection.url, connection.namespace, str(ROOT)],
        env={**os.environ, "NBTASKS_KEY": connection.to_json()["keys"][0]},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        last, _ = client.stdout.readline().split()
    finally:
        client.kill()
        client.wait()
        client.stdout.close()
    machine(idle_app, concurrency=2)
    assert AsyncResult(last, app=idle_app).get(timeout=120) == 20 * (sum(range(N)) + N)


@every_leg
def test_a_call_that_kills_its_process_ends_those_after_it(idle_app, machine):
    @task
    def die(x):
        if x == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    machine(idle_app, concurrency=2)
    run = Run(idle_app, (die, list(range(5)), []), (total, [()], [many((0, 5))]), (more, [()], [one(1)]))
    error = run.of(2).get(timeout=120, propagate=False)
    assert isinstance(error, ChordError)
    assert isinstance(error.__cause__, WorkerLostError)


@pytest.mark.parametrize("node", range(5))
@every_leg
def test_revoked_at_each_step(idle_app, machine, eventually, node):
    """Everything ends, and what has not been started never is."""
    machine(idle_app, concurrency=2)
    run = long_workflow(idle_app, 40)
    first = run.batches[max(0, node - 1)]
    eventually(lambda: first.finished_count > (0 if node else -1), "it has come so far", within=60)
    run.revoke(terminate=True)
    states = run.states()
    assert set(states) <= {"SUCCESS", "REVOKED", "FAILURE"}
    with contextlib.suppress(CallError):
        run.of(4).get(timeout=60)


@pytest.mark.parametrize("node", [0, 1, 2])
def test_one_step_is_revoked(idle_app, machine, node):
    """What waits for it ends with it, though no worker was there for the step itself."""
    elsewhere = task(queue="nobody")(lambda *_: 1)
    nodes = [(more, [1], []), (more, [()], [one(0)]), (more, [()], [one(1)]), (more, [()], [one(2)])]
    nodes[node] = (elsewhere, nodes[node][1], nodes[node][2])
    machine(idle_app, concurrency=1)
    run = Run(idle_app, *nodes)
    run.of(node).revoke()
    states = run.states()
    assert states[node:] == ["REVOKED"] * (4 - node)


def test_without_any_worker_a_revoked_or_expired_step_ends_those_after_it(idle_app):
    """Whoever has submitted it passes it on."""
    run = Run(idle_app, (more, [1], []), (more, [()], [one(0)]), (total, [()], [many((1, 1))]))
    run.of(0).revoke()
    assert run.states() == ["REVOKED", "REVOKED", "FAILURE"]
    late = Run(idle_app, (more, [1], []), (more, [()], [one(0)]), expires=0.1)
    assert late.states() == ["REVOKED", "REVOKED"]


def test_a_large_argument_of_a_later_step_is_sent_again(idle_app, tmp_path):
    """The file in which it lay is gone when the step is released."""

    @task
    def size(x, data):
        return x + len(data)

    idle_app.start_workers(1)
    gate = str(tmp_path / "gate")
    run = Run(
        idle_app, (pause, [(1, gate)], []), (size, [(b"x" * 1_000_000,)], [one(0)]), (more, [()], [one(1)])
    )
    idle_app.engine.flush()
    names = list(idle_app.session.files.older_than(-60))
    assert names
    for name in names:
        idle_app.session.files.remove(name)
    open(gate, "w").close()  # noqa: PTH123
    assert run.of(2).get(timeout=120) == 1_000_002


# -- large ones


@pytest.mark.long
@pytest.mark.parametrize("failures", [0, 1, 1000])
@every_leg
def test_chord_of_a_thousand(idle_app, machine, failures):
    @task
    def member(x, bad):
        if x < bad:
            raise ValueError(x)
        return x

    machine(idle_app, concurrency=2)
    run = Run(idle_app, (member, [(x, failures) for x in range(1000)], []), (total, [()], [many((0, 1000))]))
    if failures:
        assert isinstance(run.of(1).get(timeout=120, propagate=False), ChordError)
        assert run.states().count("FAILURE") == failures + 1
    else:
        assert run.of(1).get(timeout=120) == sum(range(1000))


@pytest.mark.long
def test_chord_of_a_hundred_thousand(idle_app, machine):
    machine(idle_app, concurrency=2)
    n = 100_000
    run = Run(idle_app, (more, list(range(n)), []), (total, [()], [many((0, n))]))
    assert run.of(1).get(timeout=300) == sum(range(n)) + n


@pytest.mark.long
@pytest.mark.parametrize("_", range(20))
def test_chord_of_a_thousand_while_everything_dies(site, chance, _):
    here = site("bundled", *DURABLE)
    run = Run(here.app, (work, [(x, 0.002) for x in range(1000)], []), (total, [()], [many((0, 1000))]))
    for _ in range(3):
        time.sleep(chance.uniform(0.05, 0.3))
        if chance.random() < 0.7:
            for pid in here.worker.children()[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            here.server.kill()
            here.server.start()
    assert run.of(1).get(timeout=120) == sum(range(1000))
