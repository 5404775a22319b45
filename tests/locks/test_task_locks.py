"""Tasks whose calls hold locks: so many at once over all workers, and whoever waits costs nothing and loses nothing."""

from __future__ import annotations

import time

import pytest

from nbtasks import App, ConfigError, TaskRevokedError, chain, chord

from .conftest import held

SOON = 90.0


@pytest.fixture(scope="module")
def crew(run_folder):
    """An App with four children, for tests that kill nothing."""
    with App("locks", namespace="t-locks") as app:
        app.start_workers(4)
        yield app


async def held_async(ledger, index, seconds):
    """The same as a coroutine."""
    import asyncio
    import os

    from nbtasks import current_call

    file = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    os.write(file, f"+{index}:{os.getpid()}:{current_call().lock_token}:1\n".encode())
    await asyncio.sleep(seconds)
    os.write(file, f"-{index}:{os.getpid()}\n".encode())
    os.close(file)


def test_no_more_calls_run_at_once_than_the_task_says(crew, entries):
    task = crew.task(held, max_concurrency=2, name="two")
    tokens = task.starmap([(entries.path, n, 0.02) for n in range(30)]).get(timeout=SOON)
    assert sorted(entries.entered()) == list(range(30))
    assert entries.most() <= 2
    assert len(set(tokens)) == 30
    in_order = [int(line[2]) for line in entries.lines() if line[0][0] == "+"]
    # Two enter at the same time, in any order.
    assert all(one > in_order[place - 3] for place, one in enumerate(in_order) if place >= 3)
    assert {line[3] for line in entries.lines() if line[0][0] == "+"} == {"1"}


def test_coroutines_and_single_calls_take_turns_as_well(crew, entries):
    task = crew.task(held_async, locks="one at a time", name="coroutine")
    calls = [task.delay(entries.path, n, 0.01) for n in range(12)]
    for call in calls:
        call.get(timeout=SOON)
    assert sorted(entries.left()) == list(range(12))
    assert entries.most() == 1


def test_calls_of_different_keys_do_not_wait_for_each_other(crew, entries, gate, eventually):
    task = crew.task(
        held, max_concurrency=1, concurrency_key=lambda ledger, index, *_: index % 2, name="keyed"
    )
    calls = [task.delay(entries.path, n, 0.0, gate.path) for n in range(4)]
    eventually(lambda: sorted(n % 2 for n in entries.entered()) == [0, 1], "one of each key runs")
    odd = next(n for n in (1, 3) if n not in entries.entered())
    eventually(lambda: "with key '1' at once" in (calls[odd].why_pending() or ""), "the other one waits")
    gate.open()
    for call in calls:
        call.get(timeout=SOON)
    assert sorted(entries.entered()) == [0, 1, 2, 3]


def test_a_call_that_waits_takes_no_slot_and_says_who_holds_its_lock(crew, entries, gate, eventually):
    task = crew.task(held, locks={"db": 1}, name="writes")
    first = task.delay(entries.path, 0, 0.0, gate.path)
    eventually(lambda: entries.entered() == [0], "the first one runs")
    waiting = task.starmap([(entries.path, n) for n in range(1, 8)])
    others = crew.task(abs).map(range(40))
    assert others.get(timeout=SOON) == list(range(40))
    told = eventually(
        lambda: (
            all("waits for lock 'db'" in (one.why_pending() or "") for one in waiting)
            and [one.why_pending() for one in waiting]
        )
    )
    worker = crew.workers()[0]
    assert f"held by writes[{first.id}] on {worker.name} ({worker.host}) for " in told[0]
    assert {one.partition("; ")[2] for one in told} == {
        "it is next", "1 waits before it", *(f"{n} wait before it" for n in range(2, 7))
    }  # fmt: skip
    eventually(lambda: (waiting.why_pending() or "").startswith("waits for lock 'db'"), "the map says it")
    assert crew.attach(waiting.id)[0].why_pending().startswith("waits for lock 'db'")
    assert [one.state for one in waiting] == ["PENDING"] * 7
    gate.open()
    assert len(waiting.get(timeout=SOON)) == 7
    assert [line[3] for line in entries.lines() if line[0][0] == "+"] == ["1"] * 8
    assert sorted(entries.entered()) == list(range(8))


def test_one_that_waits_can_be_revoked_and_the_next_one_comes(crew, entries, gate, eventually):
    task = crew.task(held, locks=["revoked"], name="revocable")
    first = task.delay(entries.path, 0, 0.0, gate.path)
    eventually(lambda: entries.entered() == [0], "the first one runs")
    second = task.delay(entries.path, 1)
    eventually(lambda: "it is next" in (second.why_pending() or ""), "it waits")
    third = task.delay(entries.path, 2)
    eventually(lambda: "waits before it" in (third.why_pending() or ""), "both wait")
    second.revoke()
    assert second.state == "REVOKED"
    eventually(lambda: "it is next" in (third.why_pending() or ""), "its place is free")
    gate.open()
    third.get(timeout=SOON)
    first.get(timeout=SOON)
    assert entries.entered() == [0, 2]


def test_one_that_waits_for_too_long_expires(crew, entries, gate, eventually):
    task = crew.task(held, locks=["expires"], name="expiring")
    first = task.delay(entries.path, 0, 0.0, gate.path)
    eventually(lambda: entries.entered() == [0], "the first one runs")
    late = task.apply_async((entries.path, 1), expires=1.0)
    with pytest.raises(TaskRevokedError, match=r"expired: .*or others held what it waits for"):
        late.get(timeout=SOON)
    gate.open()
    first.get(timeout=SOON)
    assert task.delay(entries.path, 2).get(timeout=SOON)
    assert entries.entered() == [0, 2]


def test_a_call_that_fails_or_tries_again_gives_its_lock_back_meanwhile(crew, entries):
    def fails(ledger, index):
        held(ledger, index)
        raise OSError("for now")

    task = crew.task(fails, locks="fragile", retries=1, default_retry_delay=1.5, retry_jitter=False)
    again = task.delay(entries.path, 0)
    other = crew.task(held, locks="fragile").starmap([(entries.path, n) for n in range(1, 4)])
    other.get(timeout=SOON)
    with pytest.raises(OSError, match="for now"):
        again.get(timeout=SOON)
    assert entries.most() == 1
    assert entries.entered().count(0) == 2


def test_a_call_takes_all_of_its_locks_or_none(crew, entries):
    both = crew.task(held, locks={"left": 1, "right": 1}, name="both")
    left, right = crew.task(held, locks="left", name="left"), crew.task(held, locks="right", name="right")
    handles = []
    for n in range(0, 24, 3):
        handles += [both.delay(entries.path, n, 0.01), left.delay(entries.path, n + 1, 0.01)]
        handles.append(right.delay(entries.path, n + 2, 0.01))
    for handle in handles:
        handle.get(timeout=SOON)
    inside: set[int] = set()
    for line in entries.lines():
        index = int(line[0][1:])
        (inside.add if line[0][0] == "+" else inside.discard)(index)
        kinds = [one % 3 for one in inside]
        assert kinds.count(0) <= 1
        assert not (0 in kinds and len(kinds) > 1), "one with both locks has run beside another"


def test_the_smallest_capacity_of_those_who_hold_it_counts(crew, entries, gate, eventually):
    alone = crew.task(held, locks={"mixed": 1}, name="alone")
    many = crew.task(held, locks={"mixed": 3}, name="many")
    first = alone.delay(entries.path, 0, 0.0, gate.path)
    eventually(lambda: entries.entered() == [0], "the first one runs")
    others = many.starmap([(entries.path, n, 0.05) for n in range(1, 7)])
    eventually(others.why_pending, "they wait")
    time.sleep(0.2)
    assert entries.entered() == [0]
    gate.open()
    others.get(timeout=SOON)
    first.get(timeout=SOON)
    assert entries.most() <= 3


def test_steps_of_workflows_hold_locks_as_any_call(crew, entries):
    task = crew.task(held, locks="step", name="step")

    def count(values):
        return len(values)

    header = [task.s(entries.path, n, 0.01) for n in range(6)]
    assert chord(header)(crew.task(count).s()).get(timeout=SOON) == 6
    chain(task.si(entries.path, 10), task.si(entries.path, 11)).delay().get(timeout=SOON)
    assert entries.most() == 1
    assert sorted(entries.left()) == [0, 1, 2, 3, 4, 5, 10, 11]
    keyed = crew.task(abs, max_concurrency=1, concurrency_key=lambda n: n)
    with pytest.raises(ConfigError, match="they come from the step before"):
        chain(crew.task(abs).s(1), keyed.s()).delay()


def test_with_a_rate_limit_both_count(crew, entries):
    task = crew.task(held, max_concurrency=2, rate_limit="20/s", name="polite")
    began = time.monotonic()
    task.starmap([(entries.path, n, 0.01) for n in range(20)]).get(timeout=SOON)
    assert time.monotonic() - began > 0.7
    assert entries.most() <= 2
    assert sorted(entries.left()) == list(range(20))


@pytest.mark.parametrize(
    ("key", "arguments", "message"),
    [
        (lambda url: None, ["a"], "has returned None for the arguments"),
        (lambda url: "", ["a"], "a key is a text that is not empty"),
        (lambda url: url.host, ["a"], "has failed .* AttributeError"),
        (lambda url: [url], ["a"], r"has returned \['a'\]"),
    ],
)
def test_a_bad_key_is_an_error_at_the_call(crew, key, arguments, message):
    task = crew.task(abs, max_concurrency=1, concurrency_key=key, name="bad")
    with pytest.raises(ConfigError, match=message):
        task.delay(*arguments)
    with pytest.raises(ConfigError, match=message):
        task.map([*arguments, *arguments])
    assert [one for one in crew.batches(quiet=True) if one.name == "bad"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_concurrency": 0}, "max_concurrency: 0 is not a whole number from 1 to 1,000"),
        ({"max_concurrency": True}, "max_concurrency: True"),
        ({"concurrency_key": len}, "say how many of them may run at once, too: max_concurrency=1"),
        ({"max_concurrency": 1, "concurrency_key": "host"}, "is not a function of a call's arguments"),
        ({"locks": ""}, "locks: '' is not a name"),
        ({"locks": 3}, "locks: 3 is not a name, a list of names, or a dict"),
        ({"locks": {"a": 1.5}}, "the capacity of 'a': 1.5"),
    ],
)
def test_a_wrong_option_says_what_to_write(idle_app, options, message):
    with pytest.raises(ConfigError, match=message):
        idle_app.task(**options)(abs)
