"""Many handles revoked one after another: what waits does not start, and each handle says what became of it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nbtasks import TaskRevokedError, group, task

SOON = 60.0


@task
def held(n, path, ledger):
    with Path(ledger).open("a") as file:
        file.write(f"{n}\n")
    while not Path(path).exists():
        threading.Event().wait(0.01)
    return n


@task
def add(x, y):
    return x + y


def ran(path):
    return sorted(map(int, Path(path).read_text().split()))


@pytest.fixture
def busy(shared_app, gate, tmp_path, eventually):
    """Both workers have something to do until the gate is opened; what runs is noted in a file."""
    ledger = tmp_path / "ran"
    ledger.touch()
    first = [held.delay(-1, gate.path, str(ledger)) for _ in range(2)]
    eventually(lambda: ran(ledger) == [-1, -1], "both run")
    yield ledger
    gate.open()
    assert [one.get(timeout=SOON) for one in first] == [-1, -1]


@pytest.mark.parametrize("terminate", [False, True])
def test_no_call_runs_that_waited(shared_app, busy, gate, terminate):
    handles = [held.delay(n, gate.path, str(busy)) for n in range(300)]
    for one in handles:
        one.revoke(terminate=terminate)
    assert {one.state for one in handles} == {"REVOKED"}
    with pytest.raises(TaskRevokedError):
        handles[-1].get(timeout=SOON)
    gate.open()
    assert add.delay(1, 2).get(timeout=SOON) == 3
    assert ran(busy) == [-1, -1]


def test_calls_with_options_of_their_own(shared_app, busy, gate):
    handles = [held.apply_async((n, gate.path, str(busy)), priority=n % 10) for n in range(40)]
    handles += [add.apply_async((n, n), countdown=600) for n in range(40)]
    [one.revoke() for one in handles]
    assert {one.state for one in handles} == {"REVOKED"}


def test_members_of_a_map(shared_app, busy, gate):
    many = held.starmap([(n, gate.path, str(busy)) for n in range(100)])
    [one.revoke() for one in many[::2]]
    assert [one.state for one in many].count("REVOKED") == 50
    gate.open()
    assert many.get(timeout=SOON, propagate=False)[1::2] == list(range(1, 100, 2))


def test_what_waits_for_them_is_revoked_with_them(shared_app, busy, gate):
    chains = [(held.s(n, gate.path, str(busy)) | add.s(1) | add.s(2)) for n in range(20)]
    handles = [one.delay() for one in chains]
    [one.root.revoke() for one in handles]
    assert all(one.until_ready(SOON) for one in handles)
    assert {step.state for one in handles for step in one.steps} == {"REVOKED"}
    both = group(chains).delay()
    [one.revoke() for one in both]
    assert both.until_ready(SOON)


def test_callbacks_are_told(shared_app, busy, gate):
    told = []
    handles = [held.delay(n, gate.path, str(busy)) for n in range(50)]
    for one in handles:
        one.then(told.append, on_error=told.append)
    for one in handles:
        one.revoke()
    assert all(one.ready() for one in handles)
    for _ in range(600):
        if len(told) == 50:
            break
        threading.Event().wait(0.1)
    assert len(told) == 50


def test_what_has_ended_stays_as_it_is(shared_app):
    handles = [add.delay(n, n) for n in range(50)]
    values = [one.get(timeout=SOON) for one in handles]
    [one.revoke() for one in handles]
    assert [one.get() for one in handles] == values
