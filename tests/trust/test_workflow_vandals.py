"""Somebody without the key puts something else in the place of what the server keeps of a workflow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nbtasks import task
from tests.workflows import Run, each, many

KEYS = {
    "parked": lambda keys, run: keys.parked(run.batches[1].id),
    "parked each": lambda keys, run: keys.parked(run.batches[2].id),
    "awaited": lambda keys, run: keys.awaited(run.batches[1].id),
    "batches": lambda keys, run: keys.workflow(run.batches[0].origin.workflow),
    "open": lambda keys, run: f"{keys.root}wo:{run.batches[0].origin.workflow}",
    "plan": lambda keys, run: keys.plan(run.batches[0].origin.workflow),
    "fallout": lambda keys, _: keys.fallout,
    "partly": lambda keys, _: f"{keys.root}rel",
}


@task
def held(x, path):
    while not Path(path).exists():
        time.sleep(0.01)
    return x


@task
def same(x):
    return x


@task
def size(values):
    return len(values)


@pytest.mark.parametrize("kind", ["string", pytest.param("stream", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=[pytest.mark.long] * (key == "parked each")) for key in KEYS]
)
def test_it_comes_to_an_end_all_the_same(shared_app, gate, key, kind):
    run = Run(
        shared_app,
        (held, [(x, str(gate.path)) for x in range(2)], []),
        (size, [()], [many((0, 2))]),
        (same, [(), ()], [each(0, 2)]),
    )
    shared_app.engine.flush()
    link, name = shared_app.session.store._link, KEYS[key](shared_app.session.line.keys, run)
    link.call("DEL", name)
    link.call(*(("SET", name, "abc") if kind == "string" else ("XADD", name, "*", "a", "b")))
    gate.open()
    assert same.delay(1).get(timeout=60) == 1
    assert run.values(2) == [0, 1]
    assert run.of(1).get(timeout=60) == 2
    link.call("DEL", name)
