"""Unique tasks: the same call again is the one that waits or runs, also from another process."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

import nbtasks
from nbtasks import App, ConfigError, chain, group

SOON = 90.0


@pytest.fixture(scope="module")
def crew(run_folder):
    """An App with two children, for tests that kill nothing."""
    with App("unique", namespace="t-unique") as app:
        app.start_workers(2)
        yield app


def wait(path, name="a", *, more=0):
    """Task code: wait at a gate."""
    import time
    from pathlib import Path

    end = time.monotonic() + 120
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return name


OTHER = """
import sys
from nbtasks import App
def wait(path, name="a", *, more=0):
    return "another one"
with App("other", namespace=sys.argv[1]) as app:
    task = app.task(wait, unique_for="1h", name="across")
    print(task.delay(sys.argv[2]).id, flush=True)
"""


def test_the_same_call_again_is_the_one_that_runs(crew, gate, eventually):
    task = crew.task(wait, unique_for="1h", name="same")
    first = task.delay(gate.path)
    again = [task.delay(gate.path, "a"), task.delay(path=gate.path, more=0), task.apply_async((gate.path,))]
    assert {one.id for one in again} == {first.id}
    other = task.delay(gate.path, "b")
    assert other.id != first.id
    gate.open()
    assert [one.get(timeout=SOON) for one in (first, *again, other)] == ["a"] * 4 + ["b"]
    later = task.delay(gate.path)
    assert later.id != first.id, "what has ended is free again"
    assert later.get(timeout=SOON) == "a"


def test_also_from_another_process(crew, gate):
    task = crew.task(wait, unique_for="1h", name="across")
    first = task.delay(gate.path)
    command = [sys.executable, "-c", OTHER, crew.connection.namespace, gate.path]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SOON).stdout
    assert told.strip() == first.id
    gate.open()
    assert first.get(timeout=SOON) == "a"


def test_the_key_says_which_calls_are_the_same(crew, gate):
    task = crew.task(wait, unique_key=lambda path, name: name[:1], name="by key")
    first = task.delay(gate.path, "one")
    assert task.delay(gate.path, "other").id == first.id
    assert task.delay(gate.path, "two").id != first.id
    with pytest.raises(ConfigError, match="unique_key of by key has returned ''"):
        task.delay(gate.path, "")
    gate.open()
    assert first.get(timeout=SOON) == "one"


def test_after_its_time_another_one_is_submitted(crew, gate, eventually):
    task = crew.task(wait, unique_for=0.5, name="bounded")
    first = task.delay(gate.path)
    second = eventually(lambda: (one := task.delay(gate.path)).id != first.id and one, "its time is over")
    gate.open()
    assert [first.get(timeout=SOON), second.get(timeout=SOON)] == ["a", "a"]


def test_one_that_was_revoked_or_has_failed_is_free_again(crew, gate):
    task = crew.task(wait, unique_for=True, name="ended")
    revoked = task.apply_async((gate.path,), countdown=60)
    assert task.delay(gate.path).id == revoked.id
    revoked.revoke()
    again = task.delay(gate.path)
    assert again.id != revoked.id
    gate.open()
    assert again.get(timeout=SOON) == "a"
    fails = crew.task(lambda: 1 / 0, unique_for=True, name="fails")
    one = fails.delay()
    with pytest.raises(ZeroDivisionError):
        one.get(timeout=SOON)
    assert fails.delay().id != one.id


def test_of_many_that_submit_at_once_one_does(crew, gate):
    task = crew.task(wait, unique_for=True, name="at once")
    ids = []
    threads = [threading.Thread(target=lambda: ids.append(task.delay(gate.path).id)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert len(ids) == 12
    assert len(set(ids)) == 1
    gate.open()


def test_who_has_died_before_it_was_submitted_keeps_nobody_waiting_for_long(crew, gate, monkeypatch):
    monkeypatch.setattr("nbtasks.broker.redis.redisuniquecalls.GRACE_MS", 300)
    task = crew.task(wait, unique_key=lambda path: "k", name="died")
    claim = crew.engine.claim
    keys = []
    monkeypatch.setattr(crew.engine, "claim", lambda key, *rest: keys.append(key) or claim(key, *rest))
    first = task.delay(gate.path)
    gate.open()
    first.get(timeout=SOON)
    assert claim(keys[0], "f" * 20, 0.0) == "f" * 20
    assert task.delay(gate.path).get(timeout=SOON) == "a"


def test_an_id_of_ones_own_is_kept(crew, gate):
    task = crew.task(wait, unique_for=True, name="own id")
    first = task.apply_async((gate.path,), task_id="my own")
    assert first.id == "my own"
    assert task.apply_async((gate.path,), task_id="another").id == "my own"
    gate.open()
    assert first.get(timeout=SOON) == "a"
    with pytest.raises(ConfigError, match="is that of a call of own id which is SUCCESS"):
        task.apply_async((gate.path,), task_id="my own")


def test_a_unique_task_holds_locks_as_well_and_its_class_may_say_both(crew, gate):
    class Once(nbtasks.Task):
        unique_for = "1h"
        unique_key = staticmethod(lambda path, *_: "one")
        max_concurrency = 1

    task = crew.task(base=Once, name="once")(lambda path, n: n)
    assert task.options.is_unique
    assert task.options.max_concurrency == 1
    assert task.delay(gate.path, 1).get(timeout=SOON) == 1


@pytest.mark.parametrize(
    "submit",
    [
        lambda task: task.map([1, 2]),
        lambda task: task.starmap([(1,), (2,)]),
        lambda task: chain(task.s(1), task.s()).delay(),
        lambda task: group(task.s(1), task.s(2)).delay(),
        lambda task: task.apply_async((1,), link=task.s()),
    ],
)
def test_maps_and_compositions_say_that_they_cannot_be_unique(crew, submit):
    with pytest.raises(
        ConfigError, match="counts for single calls: one of a map, a chain, a group or a chord"
    ):
        submit(crew.task(abs, unique_for="1h"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unique_for": "soon"}, "soon"),
        ({"unique_for": 0}, "unique_for"),
        ({"unique_key": "url"}, "unique_key: 'url' is not a function"),
    ],
)
def test_a_wrong_option_says_what_to_write(crew, options, message):
    with pytest.raises(ConfigError, match=message):
        crew.task(**options)(abs)


def test_calls_of_an_eager_app_have_ended_before_the_next_one():
    with App(eager=True) as app:
        task = app.task(abs, unique_for="1h", unique_key=lambda n: "one")
        assert [task.delay(n).get() for n in (-1, -2)] == [1, 2]
