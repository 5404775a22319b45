"""Wrong and unusual uses of workflows: each has an end within the time, and an error that says enough."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import threading
from pathlib import Path

import pytest

import nbtasks
from nbtasks import (
    AsyncResult,
    ConfigError,
    GroupResult,
    NotPicklable,
    TaskRevokedError,
    chain,
    chord,
    group,
    signature,
    task,
)

SOON = 60.0


@task
def add(x, y):
    return x + y


@task
def one(x):
    return x


@task
def total(numbers):
    return sum(numbers)


@task
def count(*args):
    return len(args)


@task
def boom(*_):
    raise ValueError("boom")


@task
def needs(x, path):
    if not Path(path).exists():
        raise OSError(f"no {x}")
    return x


@task
def generator(*_):
    return (n for n in range(3))


@task
def as_bytes(n):
    return b"x" * n


@task
def length(values):
    return sum(map(len, values))


@task
async def asynchronous(x):
    return x


@task(bind=True, max_retries=2)
def at_the_third_time(self, x):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return x


@task(bind=True)
def replaced_by(self, what):
    made = {
        "call": add.s(1, 1),
        "no members": group([]),
        "no steps": chain(),
        "a task": add,
        "nothing": None,
        "a list": [add.s(1, 1)],
        "another call": add.delay(1, 1) if what == "another call" else None,
    }
    raise self.replace(made[what])


@task(bind=True)
def replaced_by_needs(self, x, path):
    raise self.replace(needs.s(x, path) | add.s(1))


@task
def dies(mark):
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


# --- refused at the call, with what to say instead


@pytest.mark.parametrize(
    ("compose", "error", "says"),
    [
        (lambda: chain(1, 2), TypeError, "chain: 1 is not a call of a task; say task.s(1)"),
        (lambda: chain(add, add), TypeError, "is a task; say add.s(...)"),
        (lambda: chain(None), TypeError, "chain: None is not a call"),
        (lambda: chain(add.s(1, 2), [add.s(1)]), TypeError, "a list of calls is no call: group([...])"),
        (lambda: group(add.s(1, 2), (add.s(1, 1),)), TypeError, "a tuple of calls is no call: group([...])"),
        (lambda: chord([add.s(1, 1)], [total.s()]), TypeError, "a list of calls is no call"),
        (lambda: chord([add.s(1, 1)], total), TypeError, "total is a task; say total.s(...)"),
        (lambda: group("abc"), TypeError, "group: 'a' is not a call of a task"),
        (lambda: group({"a": add.s(1, 2)}), ConfigError, "is not a signature's dict"),
        (lambda: add.s(1, 2) | None, TypeError, "|: None is not a call"),
        (lambda: 5 | group(add.s(1, 2)), TypeError, "unsupported operand"),
        ((add.s(1) | add.s(2)).delay, TypeError, "missing a required argument: 'y'"),
        ((add.s(1, 2) | add.s(2, 3)).delay, TypeError, "too many positional arguments"),
        ((add.s(1, 2) | add.s(1, z=3)).delay, TypeError, "unexpected keyword argument 'z'"),
        (lambda: chain(add.s(1, 2), add.s(1)).apply_async(countdown="x"), ConfigError, "is not a duration"),
        (lambda: add.apply_async((1, 2), link=add), TypeError, "link: .*add is a task; say add.s"),
        (lambda: add.apply_async((1, 2), link=[add.s(1), None]), TypeError, "link: None is not a call"),
        (lambda: group(add.s(1, 2)).on_error(None), TypeError, "link_error: None is not a call"),
        (lambda: add.chunks(5, 2), TypeError, "chunks: 5 is not iterable"),
        (lambda: nbtasks.xmap(add, 5), TypeError, "xmap: 5 is not iterable"),
        (lambda: add.map(5), TypeError, "5 is not iterable: a map is of many items"),
        (lambda: add.starmap([1]), TypeError, "starmap takes a tuple of arguments for each call"),
        (lambda: signature({"task": 5}), TypeError, "5 is not a call of a task"),
        (
            lambda: group(add.s(1, 2) for _ in range(3)).apply_async(task_id="same"),
            ConfigError,
            "is given to 3 calls of one composition",
        ),
        (lambda: GroupResult.restore("nothere"), nbtasks.UnknownCall, "nobody has saved a group 'nothere'"),
    ],
)
def test_what_is_wrong_is_said_at_the_call_and_nothing_is_sent(shared_app, compose, error, says):
    shared_app.engine.flush()
    before = list(shared_app.engine.newest(5))
    with pytest.raises(error, match=says if ".*" in says else re.escape(says)):
        compose()
    shared_app.engine.flush()
    assert list(shared_app.engine.newest(5)) == before


def test_a_signature_linked_to_itself(shared_app):
    alone, many = add.s(1, 2), chain(add.s(1, 2), add.s(3))
    alone.link(alone)
    many.link(many)
    for one in (alone, many):
        with pytest.raises(ConfigError, match="is linked to itself"):
            one.delay()


# --- unusual, and right


@pytest.mark.parametrize(
    ("compose", "value"),
    [
        (lambda: chord([], total.s()), 0),
        (lambda: chord(add.s(1, 1), total.s()), 2),
        (lambda: group(group(group(add.s(1, 1)))), [2]),
        (lambda: chain(chain(chain(add.s(1, 1)))), 2),
        (lambda: group([]) | total.s() | add.s(1), 1),
        (lambda: add.s(1, 2) | group([]), 3),
        (lambda: group([]) | group([]), []),
        (lambda: at_the_third_time.s(5) | add.s(1), 6),
        (lambda: chord([at_the_third_time.s(n) for n in range(3)], total.s()), 3),
        (lambda: chord([as_bytes.s(1_000_000)] * 3, length.s()), 3_000_000),
        (lambda: asynchronous.s(3) | add.s(1) | asynchronous.s(), 4),
        (lambda: group(add.s(n, n) for n in range(3)) | group(total.s(), total.s()) | total.s(), 12),
        (lambda: add.chunks([], 2), []),
        (lambda: add.chunks([(1, 2), (3, 4), (5, 6)], 2) | count.s(), 1),
        (lambda: nbtasks.xstarmap(add, []), []),
        (lambda: one.s(1) | group(add.s(n).set(countdown=0.1) for n in range(3)) | total.s(), 6),
        (lambda: signature(json.loads(json.dumps(dict(group(add.s(3, 4)) | total.s())))), 7),
        (lambda: pickle.loads(pickle.dumps(chord([add.s(1, 2)], total.s()))), 3),
        (lambda: replaced_by.s("call") | add.s(1), 3),
        (lambda: replaced_by.s("no members") | total.s(), 0),
        (lambda: chain(one.s(0), *[add.s(1)] * 60), 60),
    ],
)
def test_what_is_unusual_works(shared_app, compose, value):
    assert compose().delay().get(timeout=SOON) == value


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("no steps", ConfigError, "a chain of no steps"),
        ("a task", TypeError, "add is a task; say add.s"),
        ("nothing", TypeError, "None is not a call of a task"),
        ("a list", TypeError, "a list of calls is no call"),
        ("another call", TypeError, "is submitted already"),
    ],
)
def test_what_cannot_take_the_place_of_a_call(shared_app, what, error, says):
    r = (replaced_by.s(what) | add.s(1)).delay()
    with pytest.raises(error, match=says):
        r.get(timeout=SOON)


def test_a_value_that_cannot_travel_ends_what_waits_for_it(shared_app):
    r = (generator.s() | total.s() | add.s(1)).delay()
    with pytest.raises(NotPicklable, match="is a generator"):
        r.get(timeout=SOON)


def test_a_deep_nesting_of_chords(shared_app):
    whole = one.s(1)
    for _ in range(40):
        whole = group(whole, one.s(1)) | total.s()
    assert whole.delay().get(timeout=SOON) == 41


def test_an_expiry_goes_through_the_workflow(shared_app):
    r = (add.s(1, 2).set(expires=0.2, queue="nobody") | add.s(1) | add.s(2)).delay()
    with pytest.raises(TaskRevokedError, match="expired"):
        r.get(timeout=SOON)
    assert [step.state for step in r.steps] == ["REVOKED"] * 3


# --- what was retried


def test_many_threads_retry_once(shared_app, gate):
    r = (needs.s(1, gate.path) | add.s(1)).delay()
    assert r.until_ready(SOON)
    gate.open()
    refused = []

    def go():
        try:
            r.retry()
        except ConfigError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=go) for _ in range(5)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert r.get(timeout=SOON) == 2
    assert len(refused) == 4


def test_what_is_linked_to_a_call_goes_on_with_it(shared_app, gate):
    r = needs.apply_async((1, gate.path), link=[add.s(10), add.s(20) | add.s(1)], link_error=one.s())
    assert r.until_ready(SOON)
    gate.open()
    r.retry()
    assert [step.get(timeout=SOON) for step in r.steps[:4]] == [1, 11, 21, 22]


def test_a_chord_in_a_chord(shared_app, gate):
    inner = chord([needs.s(n, gate.path) for n in range(3)], total.s())
    r = (group(inner, inner.clone()) | total.s()).delay()
    assert all(step.until_ready(SOON) for step in r.steps)
    gate.open()
    assert r.retry().get(timeout=SOON) == 6


def test_a_call_that_was_replaced(shared_app, gate):
    r = (replaced_by_needs.s(1, gate.path) | add.s(5)).delay()
    assert r.until_ready(SOON)
    gate.open()
    assert r.retry().get(timeout=SOON) == 7


def test_a_restored_group(shared_app, gate):
    members = group(needs.s(1, gate.path), add.s(1, 1)).delay()
    assert members.until_ready(SOON)
    members.save()
    gate.open()
    assert GroupResult.restore(members.id).retry_failed().get(timeout=SOON) == [1, 2]
    assert members.get() == [1, 2]


def test_a_handle_of_it_is_an_argument(shared_app, gate):
    r = (needs.s(1, gate.path) | add.s(1)).delay()
    assert r.until_ready(SOON)
    gate.open()
    r.retry()
    assert add.delay(r, 1).get(timeout=SOON) == 3


def test_an_id_of_its_own_finds_it(shared_app, gate):
    r = (needs.s(1, gate.path).set(task_id="mine") | add.s(1)).delay()
    assert r.until_ready(SOON)
    gate.open()
    r.retry()
    assert r.get(timeout=SOON) == 2
    assert AsyncResult("mine").get(timeout=SOON) == 1


def test_what_has_not_ended_cannot_be_retried(shared_app, gate):
    r = (needs.s(1, gate.path).set(countdown=600) | add.s(1)).delay()
    with pytest.raises(ConfigError, match=r"no call of .* has failed"):
        r.retry()
    r.revoke()


def test_a_child_that_is_killed_meanwhile(shared_app, gate, tmp_path):
    r = (needs.s(1, gate.path) | dies.si(str(tmp_path / "mark")) | count.s()).delay()
    assert r.until_ready(SOON)
    gate.open()
    assert r.retry().get(timeout=SOON) == 1
    assert r.parent.get() == "alive"
