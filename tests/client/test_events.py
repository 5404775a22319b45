"""What happens to calls and workers is told to whoever looks on, and is there for those who look later."""

from __future__ import annotations

import asyncio
import collections

import pytest

from nbtasks import App, ConfigError
from nbtasks.events import Event, State

SOON = 60.0


def double(n):
    """Task code."""
    return 2 * n


def fail(n):
    """Task code."""
    raise ValueError(f"no {n}")


def until(stream, wanted, of=None):
    """Read events up to one of a type that is wanted; those of one call, where that is said."""
    found = []
    for event in stream:
        if of is None or event.uuid == of:
            found.append(event)
            if event.type in wanted:
                return found
    pytest.fail(f"no {wanted} came, but {found}")


def types(events):
    return [event.type for event in events]


@pytest.fixture
def stream(shared_app):
    with shared_app.events(timeout=SOON) as stream:
        yield stream


def test_a_call_is_told_from_its_submit_to_its_end(shared_app, stream):
    handle = shared_app.task(double, name="pack.double", queue="default").delay(4)
    assert handle.get(SOON) == 8
    events = until(stream, {"task-succeeded"}, handle.id)
    assert types(events) == ["task-sent", "task-received", "task-started", "task-succeeded"]
    assert {event.name for event in events} == {"pack.double"}
    assert {event.queue for event in events} == {"default"}
    sent, received, started, ended = events
    assert sent.timestamp <= received.timestamp <= started.timestamp <= ended.timestamp
    assert ended.timestamp == pytest.approx(started.timestamp + ended.runtime, abs=1e-3)
    assert received.hostname == ended.hostname == shared_app.workers()[0].name
    assert ended["uuid"] == ended.to_dict()["uuid"] == handle.id
    assert ended.exception is None


def test_a_failure_says_its_error_as_one_line(shared_app, stream):
    handle = shared_app.task(fail).delay("bread\nand butter")
    with pytest.raises(ValueError, match="no bread"):
        handle.get(SOON)
    ended = until(stream, {"task-failed"}, handle.id)[-1]
    assert ended.exception == "ValueError: no bread\\nand butter"


def test_the_calls_of_a_map_are_counted_exactly(shared_app, stream):
    task = shared_app.task(double, name="pack.of_map")
    result = task.map(range(10_000))
    assert sum(result.get(SOON)) == sum(range(10_000)) * 2
    seen = collections.Counter()
    indexes = set()
    for event in stream:
        if event.batch == result.id:
            seen[event.type] += 1
            if event.type == "task-succeeded":
                indexes.add(event.index)
            if seen["task-succeeded"] == 10_000:
                break
    assert indexes == set(range(10_000))
    assert set(seen.values()) == {10_000}
    assert len(seen) == 4


def test_calls_in_a_row_stay_together_where_that_is_wanted(shared_app):
    task = shared_app.task(double)
    with shared_app.events("task-succeeded", timeout=SOON, expand=False) as stream:
        result = task.map(range(10_000))
        result.get(SOON)
        counts = []
        for event in stream:
            counts.append(event.count)
            if sum(counts) == 10_000:
                break
    assert len(counts) < 2_000


def test_who_looks_later_sees_what_has_happened(shared_app):
    task = shared_app.task(double, name="pack.earlier")
    handle = task.delay(1)
    handle.get(SOON)
    with shared_app.events(since="start", task="pack.ear*", timeout=SOON) as stream:
        events = until(stream, {"task-succeeded"}, handle.id)
    assert len(events) == 4
    with shared_app.events(since=events[-1].timestamp + 0.01, timeout=0.2) as stream:
        assert not [event for event in stream if event.uuid == handle.id]


async def read(stream, handle):
    return [event.type async for event in stream if event.uuid == handle.id]


def test_events_are_read_in_a_coroutine(shared_app):
    import asyncio

    with shared_app.events(["task-sent", "task-succeeded"], timeout=2) as stream:
        handle = shared_app.task(double).delay(4)
        assert asyncio.run(read(stream, handle)) == ["task-sent", "task-succeeded"]


def test_what_is_no_type_and_no_moment_is_said(shared_app):
    with pytest.raises(ConfigError, match="no events 'task-done'; there are: task, worker, task-sent"):
        shared_app.events("task-done")
    with pytest.raises(ConfigError, match='say "start"'):
        shared_app.events(since="yesterday")


def test_an_app_without_a_broker_says_so():
    from concurrent.futures import ThreadPoolExecutor

    with (
        ThreadPoolExecutor(1) as pool,
        App("pool", engine=pool) as app,
        pytest.raises(ConfigError, match="keeps no stream"),
    ):
        app.events()


def test_what_can_be_said_after_some_events_is_counted(shared_app):
    task, bad = shared_app.task(double, name="pack.seen"), shared_app.task(fail, name="pack.unseen")
    with shared_app.events(timeout=SOON) as stream:
        task.map(range(1_000)).get(SOON)
        handle = bad.delay(7)
        snapshots = stream.snapshots(every=0.05)
        state = next(
            state
            for state in snapshots
            if state.totals.get("pack.seen", {}).get("task-succeeded") == 1_000
            and state.totals.get("pack.unseen", {}).get("task-failed") == 1
        )
    assert state.calls[handle.id]["state"] == "FAILURE"
    assert state.calls[handle.id]["exception"] == "ValueError: no 7"
    assert state.missed == 0


def test_a_coroutine_gets_snapshots_too(shared_app):
    task = shared_app.task(double, name="pack.in_loop")
    task.map(range(3)).get(SOON)

    async def counted():
        with shared_app.events(task=task, since="start", timeout=SOON) as stream:
            async for state in stream.snapshots(every=0.05):
                if state.totals.get("pack.in_loop", {}).get("task-succeeded") == 3:
                    return state.event_count
        raise AssertionError("it has ended before")

    assert asyncio.run(counted()) >= 3

    async def ended():
        return [state async for state in shared_app.events(timeout=0).snapshots(every=0)]

    assert len(asyncio.run(ended())) == 1


def test_an_event_can_be_read_as_a_dict(shared_app):
    task = shared_app.task(double, name="pack.read")
    task.delay(1).get(SOON)
    event = next(iter(shared_app.events("task-sent", task="pack.read", since="start", timeout=SOON)))
    assert dict(event) == {**event} == event.to_dict()
    assert "uuid" in event
    assert "nothing" not in event
    assert list(event) == list(event.keys())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"types": 5}, "5 is no type of event"),
        ({"types": "task_failed"}, "did you mean 'task-failed'"),
        ({"types": "failed"}, "did you mean 'task-failed'"),
        (
            {"types": ["task-sent", "nothing"]},
            "there are no events 'nothing'; there are: task, worker, task-sent",
        ),
        ({"task": 5}, "task=5 is no name of a task"),
        ({"task": ["a", "b"]}, "is no name of a task"),
        ({"since": 10}, "a moment of the year 1970; for 10 seconds ago say since='10s'"),
    ],
)
def test_what_makes_no_sense_is_refused(shared_app, wrong, says):
    with pytest.raises(ConfigError, match=says):
        shared_app.events(**wrong)


def test_a_state_forgets_what_was_long_ago(shared_app):
    state = State(most_calls=10)
    with shared_app.events("task-sent", timeout=SOON) as stream:
        for _ in range(20):
            shared_app.task(double).delay(1)
        for count, event in enumerate(stream, 1):
            state.event(event)
            if count == 20:
                break
    assert len(state.calls) == 10
    assert state.event_count == 20


def test_a_state_does_not_grow_with_all_that_was_ever_there():
    state = State()
    for number in range(10_100):
        state.event(Event("worker-heartbeat", 1.0, f"w{number}"))
        state.event(Event("task-sent", 1.0, "host", batch="1", name=f"t{number}"))
    assert len(state.workers) == 10_000
    assert next(iter(state.workers)) == "w100"
    assert len(state.totals) == 10_001
    assert state.totals["(other tasks)"]["task-sent"] == 100
