"""Calls that wait for others, run by workers: what they get, and how they end when something before them fails."""

from __future__ import annotations

import time

import pytest

from nbtasks import AsyncResult, task
from nbtasks.client.submitting.workflows import NodeCalls, submit_workflow
from nbtasks.core.errors import ChordError, NotNeeded, TaskRevokedError, ValueLost
from nbtasks.core.plan import CallRange, Node, Plan
from tests.workflows import Run, each, many, one


@task
def add(x, y):
    return x + y


@task
def same(x):
    return x


@task
def total(numbers):
    return sum(numbers)


@task
def collect(*args):
    return list(args)


@task
def fail(*args):
    raise ValueError(f"no {args}")


@task
def fail_some(x, bad):
    if x in bad:
        raise ValueError(f"no {x}")
    return x


def test_a_chain_hands_each_value_on(shared_app):
    run = Run(shared_app, (add, [(1, 2)], []), (add, [10], [one(0)]), (add, [100], [one(1)]))
    assert run.of(2).get(timeout=60) == 113
    assert run.states() == ["SUCCESS"] * 3


def test_a_chord_gets_all_values_in_order(shared_app):
    run = Run(shared_app, (same, list(range(100)), []), (collect, ["own"], [many((0, 100))]))
    assert run.of(1).get(timeout=60) == [list(range(100)), "own"]


def test_a_group_of_one_is_a_list_too(shared_app):
    run = Run(shared_app, (same, [7], []), (total, [()], [many((0, 1))]))
    assert run.of(1).get(timeout=60) == 7


def test_what_only_waits_gets_nothing(shared_app):
    run = Run(shared_app, (same, [1, 2], []), (collect, ["own"], [many((0, 2), kind="after")]))
    assert run.of(1).get(timeout=60) == ["own"]


def test_mixed_members_of_a_chord_stand_in_their_order(shared_app):
    run = Run(
        shared_app,
        (same, [1, 2], []),
        (add, [(3, 4)], []),
        (same, [5], []),
        (collect, [()], [many((0, 2), (1, 1), (2, 1))]),
    )
    assert run.of(3).get(timeout=60) == [[1, 2, 7, 5]]


def test_each_call_of_a_group_gets_the_value_of_its_own_chain(shared_app):
    n = 100
    run = Run(
        shared_app,
        (same, list(range(n)), []),
        (add, [1000] * n, [each(0, n)]),
        (add, [10_000] * n, [each(1, n)]),
        (total, [()], [many((2, n))]),
    )
    assert run.values(2) == [index + 11_000 for index in range(n)]
    assert run.of(3).get(timeout=60) == sum(range(n)) + 11_000 * n


def test_diamond(shared_app):
    run = Run(
        shared_app,
        (same, [1], []),
        (add, [10], [one(0)]),
        (add, [100, 200, 300], [one(0)]),
        (collect, [()], [many((1, 1), (2, 3))]),
    )
    assert run.of(3).get(timeout=60) == [[11, 101, 201, 301]]


def test_chord_chain_chord(shared_app):
    run = Run(
        shared_app,
        (same, [1, 2, 3], []),
        (total, [()], [many((0, 3))]),
        (add, [1] * 300, [one(1)]),
        (total, [()], [many((2, 300))]),
    )
    assert run.of(3).get(timeout=60) == 300 * 7


def test_values_are_anew_for_each_call(shared_app):
    @task
    def change(values, x):
        values.append(x)
        return values

    run = Run(shared_app, (collect, [(1, 2)], []), (change, list(range(20)), [one(0)]))
    assert run.values(1) == [[1, 2, x] for x in range(20)]


def test_large_values_go_on(shared_app):
    size = 3_000_000
    run = Run(shared_app, (same, [b"x" * size], []), (same, [()], [one(0)]), (collect, [()], [many((1, 1))]))
    assert run.of(2).get(timeout=60) == [[b"x" * size]]


def test_what_a_task_does_not_keep_is_handed_on_all_the_same(shared_app):
    quiet = task(ignore_result=True)(lambda x: x + 1)
    run = Run(shared_app, (quiet, [1], []), (same, [()], [one(0)]))
    assert run.of(1).get(timeout=60) == 2


def test_async_tasks_get_values_too(shared_app):
    @task
    async def later(x):
        return x + 1

    run = Run(shared_app, (later, [1], []), (later, [()], [one(0)]), (later, [()], [one(1)]))
    assert run.of(2).get(timeout=60) == 4


def test_a_retry_gets_the_values_again(shared_app):
    @task(bind=True, max_retries=2, default_retry_delay=0.01, retry_backoff=False)
    def flaky(self, x):
        if self.request.retries < 2:
            raise self.retry()
        return x

    run = Run(shared_app, (same, [5], []), (flaky, [()], [one(0)]), (same, [()], [one(1)]))
    assert run.of(2).get(timeout=60) == 5


# -- failures


def test_all_steps_after_a_failure_end_with_it(shared_app):
    run = Run(
        shared_app,
        (same, [1], []),
        (fail, [()], [one(0)]),
        (same, [()], [one(1)]),
        (same, [()], [one(2)]),
    )
    assert run.states() == ["SUCCESS", "FAILURE", "FAILURE", "FAILURE"]
    for node in (1, 2, 3):
        with pytest.raises(ValueError, match="no \\(1,\\)"):
            run.of(node).get(timeout=60)


@pytest.mark.parametrize("failures", [1, 50])
def test_a_chord_with_failures_ends_with_one_error(shared_app, failures):
    bad = frozenset(range(failures))
    run = Run(shared_app, (fail_some, [(x, bad) for x in range(50)], []), (total, [()], [many((0, 50))]))
    error = run.of(1).get(timeout=60, propagate=False)
    assert isinstance(error, ChordError)
    assert "raised ValueError: no" in str(error)
    assert isinstance(error.__cause__, ValueError)
    batch, _, index = error.failed_id.partition(":")
    assert batch == run.batches[0].id
    assert int(index) in bad
    assert error.members == ((run.batches[0].id, 0, 50, False),)
    assert run.states().count("FAILURE") == failures + 1


def test_a_chain_of_a_group_fails_where_its_own_call_fails(shared_app):
    n = 60
    bad = frozenset(range(0, n, 7))
    run = Run(
        shared_app,
        (fail_some, [(x, bad) for x in range(n)], []),
        (same, [()] * n, [each(0, n)]),
        (same, [()] * n, [each(1, n)]),
    )
    run.states()
    for index, value in enumerate(run.values(2)):
        assert (
            (isinstance(value, ValueError) and str(value) == f"no {index}")
            if index in bad
            else value == index
        )


def test_a_failure_ends_a_large_step_at_once(shared_app):
    n = 20_000
    run = Run(shared_app, (fail, [1], []), (same, [()] * n, [one(0)]), (total, [()], [many((1, n))]))
    assert isinstance(run.of(2).get(timeout=60, propagate=False), ChordError)
    assert run.states().count("FAILURE") == n + 2


def test_what_waits_for_errors_runs_after_one(shared_app):
    run = Run(
        shared_app,
        (fail, [1], []),
        (collect, ["id"], [many((0, 1), kind="error-id")]),
        (collect, ["none"], [many((0, 1), kind="error")]),
        (lambda_of_error, [()], [many((0, 1), kind="error-call")]),
    )
    assert run.of(1).get(timeout=60) == [run.batches[0].id, "id"]
    assert run.of(2).get(timeout=60) == ["none"]
    name, text, request_id = run.of(3).get(timeout=60)
    assert (name, request_id) == ("ValueError", run.batches[0].id)
    assert "no (1,)" in text


@task
def lambda_of_error(request, error, traceback):
    return type(error).__name__, traceback, request.id


def test_what_waits_for_errors_is_not_needed_without_one(shared_app):
    run = Run(shared_app, (same, [1], []), (collect, [()], [many((0, 1), kind="error-id")]))
    assert run.of(0).get(timeout=60) == 1
    with pytest.raises(NotNeeded):
        run.of(1).get(timeout=60)


def test_a_body_without_a_worker_fails_as_soon_as_one_of_its_calls(shared_app):
    """Nobody listens where it was to run; what comes after it fails, too."""
    elsewhere = task(queue="nobody")(lambda values: values)
    run = Run(
        shared_app,
        (fail_some, [(x, frozenset([3])) for x in range(10)], []),
        (elsewhere, [()], [many((0, 10))]),
        (elsewhere, [()], [one(1)]),
    )
    for node in (1, 2):
        assert isinstance(run.of(node).get(timeout=60, propagate=False), ChordError)


def test_what_is_not_needed_and_has_no_worker_ends_all_the_same(shared_app):
    elsewhere = task(queue="nobody")(lambda failed: failed)
    run = Run(shared_app, (same, [1], []), (elsewhere, [()], [many((0, 1), kind="error-id")]))
    with pytest.raises(NotNeeded):
        run.of(1).get(timeout=60)


def test_an_expired_step_ends_those_after_it(shared_app):
    elsewhere = task(queue="nobody", expires=0.1)(lambda: 1)
    run = Run(shared_app, (elsewhere, [()], []), (same, [()], [one(0)]), (total, [()], [many((1, 1))]))
    with pytest.raises(TaskRevokedError, match="expired"):
        run.of(1).get(timeout=60)
    assert run.states() == ["REVOKED", "REVOKED", "FAILURE"]


# -- what is said of it, and what others do with it


def test_it_is_said_what_a_step_waits_for(shared_app, gate):
    @task
    def held(x, path):
        from pathlib import Path

        while x > 2 and not Path(path).exists():
            time.sleep(0.01)
        return x

    run = Run(
        shared_app,
        (held, [(x, str(gate.path)) for x in range(4)], []),
        (total, [()], [many((0, 4))]),
        (same, [()], [one(1)]),
    )
    held_title, total_title = (batch.title for batch in run.batches[:2])
    wanted = f"waits for step 1 ({held_title}): 3 of 4 done"
    run.batches[0].wait_for(lambda: run.batches[0].finished_count == 3, 60)
    assert run.batches[1].why_pending().startswith(wanted)
    assert run.batches[2].why_pending() == f"waits for step 2 ({total_title}); {total_title}: {wanted}"
    gate.open()
    assert run.of(2).get(timeout=60) == 6


def test_what_is_forgotten_stays_until_what_comes_later_has_ended(shared_app, gate, eventually):
    @task
    def held(x, path):
        from pathlib import Path

        while not Path(path).exists():
            time.sleep(0.01)
        return x

    run = Run(shared_app, (same, [1], []), (held, [str(gate.path)], [one(0)]), (add, [10], [one(1)]))
    assert run.of(0).get(timeout=60) == 1
    run.of(0).forget()
    gate.open()
    assert run.of(2).get(timeout=60) == 11
    store = shared_app.engine.session.store
    eventually(lambda: store.batch(run.batches[0].id) is None, "it is forgotten")
    assert store.batch(run.batches[2].id) is not None


def test_another_client_finds_the_workflow_and_revokes_it(shared_app):
    from nbtasks import App, AsyncResult

    elsewhere = task(queue="nobody")(lambda *_: 1)
    run = Run(shared_app, (elsewhere, [()], []), (same, [()], [one(0)]), (same, [()], [one(1)]))
    shared_app.engine.flush()
    with App("other", connection=shared_app.connection) as other:
        handle = AsyncResult(run.batches[1].id, app=other)
        record = other.engine.workflow_of(handle.batch)
        assert record.batches == tuple(batch.id for batch in run.batches)
        assert record.plan == run.plan
        other.engine.revoke_workflow(handle.batch, False)
        assert handle.state == "REVOKED"
    assert run.states() == ["REVOKED"] * 3


def test_an_engine_that_lets_no_calls_wait_says_so():
    from concurrent.futures import ThreadPoolExecutor

    from nbtasks import App, ConfigError

    with (
        ThreadPoolExecutor(1) as pool,
        App("pool", engine=pool) as app,
        pytest.raises(ConfigError, match="does not let calls wait for others"),
    ):
        Run(app, (same, [1], []), (same, [()], [one(0)]))


def test_a_countdown_of_a_later_step_begins_when_the_one_before_has_ended(shared_app):
    @task
    def now(*_):
        return time.time()

    later = task(name="later")(now.function)
    batches = submit_workflow(
        shared_app.engine,
        Plan((Node(1), Node(1, (one(0),))), (CallRange(1),)),
        [NodeCalls(now, [((), {})], {"countdown": 0.3}), NodeCalls(later, [((), {})], {"countdown": 0.5})],
    )
    first, second = (AsyncResult.of(batch, 0).get(timeout=60) for batch in batches)
    assert second - first >= 0.45


def test_classes_of_local_modules_go_through_steps_that_do_not_know_them(shared_app, project, monkeypatch):
    """The second step only passes on what it gets."""
    (project / "thing_of_wf.py").write_text("class Thing:\n    def __init__(self, x):\n        self.x = x\n")
    monkeypatch.syspath_prepend(str(project))
    import thing_of_wf

    @task
    def make(x):
        return thing_of_wf.Thing(x)

    @task
    def read(thing):
        return thing.x

    run = Run(shared_app, (make, [7], []), (same, [()], [one(0)]), (read, [()], [one(1)]))
    assert run.of(2).get(timeout=60) == 7


def test_what_is_not_signed_is_not_handed_on(shared_app, gate):
    """Somebody without the key has put a result of another call in the place of the one that is waited for."""

    @task
    def held(x, path):
        from pathlib import Path

        while not Path(path).exists():
            time.sleep(0.01)
        return x

    other = same.delay("other")
    assert other.get(timeout=60) == "other"
    store, link = shared_app.engine.session.store, shared_app.engine.session.store._link
    keys = shared_app.engine.session.line.keys
    run = Run(
        shared_app,
        (same, ["mine"], []),
        (held, [str(gate.path)], [one(0)]),
        (collect, [()], [many((0, 1), (1, 1))]),
    )
    assert run.of(0).get(timeout=60) == "mine"
    frame = store.record(other.batch.id, 0, 1)
    link.call("HSET", keys.records(run.batches[0].id), "0+1", frame)
    gate.open()
    error = run.of(2).get(timeout=60, propagate=False)
    assert isinstance(error, (ValueLost, ChordError))
    assert "stands where one of" in str(error)


def test_signals_tell_of_each_step(shared_app):
    from nbtasks.signals import after_task_publish, before_task_publish

    told = []

    def note(sender=None, headers=None, **_):
        told.append((sender, headers.get("id")))

    before_task_publish.connect(note)
    after_task_publish.connect(note)
    try:
        run = Run(shared_app, (same, [1], []), (same, [()], [one(0)]))
    finally:
        before_task_publish.disconnect(note)
        after_task_publish.disconnect(note)
    ids = [batch.id for batch in run.batches]
    assert [id for _, id in told] == [None, None, *ids]
    assert run.of(1).get(timeout=60) == 1


def test_a_call_knows_what_leads_to_it(shared_app):
    @task(bind=True)
    def whose(self, *_):
        return self.request.id, self.request.parent_id, self.request.root_id

    run = Run(
        shared_app,
        (whose, [(), ()], []),
        (whose, [(), ()], [each(0, 2)]),
        (whose, [()], [many((1, 2))]),
        (whose, [()], [one(2)]),
    )
    first, second, third, fourth = (batch.id for batch in run.batches)
    assert run.values(0) == [(f"{first}:{k}", None, f"{first}:{k}") for k in range(2)]
    assert run.values(1) == [(f"{second}:{k}", f"{first}:{k}", f"{first}:{k}") for k in range(2)]
    assert run.of(2).get(timeout=60) == (third, f"{second}:0", f"{first}:0")
    assert run.of(3).get(timeout=60) == (fourth, third, f"{first}:0")


def test_a_workflow_that_the_broker_does_not_take_fails_as_a_whole(app, monkeypatch, eventually):
    """What it has taken of it does not wait there for ever."""
    from nbtasks import BackPressure
    from nbtasks.broker.redis import redissubmission as submission
    from nbtasks.client.engines.brokered.sending import outbox

    elsewhere = task(queue="nobody")(lambda *_: 1)
    elsewhere.map(range(100), chunk=1).batch.engine.flush()
    monkeypatch.setattr(submission, "MOST_ENTRIES", 50)
    monkeypatch.setattr(outbox, "_BACK_PRESSURE_S", 0.2)
    # In several flushes, as a large one is sent: some of it is taken before the rest is refused.
    monkeypatch.setattr(outbox, "_FLUSH_BYTES", 1)
    monkeypatch.setattr(outbox, "_AT_ONCE_BYTES", 0)
    run = Run(app, (elsewhere, [()], []), (same, [()], [one(0)]), (same, [()], [one(1)]))
    for node in range(3):
        with pytest.raises(BackPressure):
            run.of(node).get(timeout=60)
    store = app.engine.session.store
    eventually(
        lambda: [store.states(batch.id, 0, 1) for batch in run.batches[1:]] == [b"\6", b"\6"],
        "what was recorded of it has ended",
    )
