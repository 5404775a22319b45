"""What a workflow's handles tell of its steps, and how failure, errbacks and revoking go through it."""

from __future__ import annotations

import contextlib
import time

import pytest

import nbtasks
from nbtasks import (
    AsyncResult,
    ChordError,
    ConfigError,
    GroupResult,
    TaskRevokedError,
    UnknownCall,
    chain,
    chord,
    group,
    task,
)

SOON = 60.0


@task
def add(x, y):
    return x + y


@task
def total(numbers):
    return sum(numbers)


@task
def parse(*_):
    raise ValueError("no number")


@task
def never(*_):
    """Wait to be stopped."""
    while True:
        time.sleep(0.02)


@task
def told(request, error, traceback):
    return request.id, repr(error), "ValueError" in traceback


@task(bind=True)
def told_the_id(self, call_id):
    return call_id


def line_of(handle):
    """Names, without their module, and states from a handle up to what began."""
    found = []
    while handle is not None:
        found.append((handle.name.removeprefix(f"{__name__}."), handle.state))
        handle = handle.parent
    return found


# --- who comes before whom


def test_a_chains_handle_is_that_of_its_last_step(shared_app):
    r = (add.s(1, 2) | add.s(3) | add.s(4)).delay()
    assert r.get(timeout=SOON) == 10
    assert [one.get(timeout=SOON) for one in r.steps] == [3, 6, 10]
    assert line_of(r) == [("add", "SUCCESS")] * 3
    assert r.root == r.steps[0]
    assert r.root.parent is None
    assert r.root.children == [r.parent]
    assert r.children == []


def test_a_chords_parent_is_its_group(shared_app):
    r = (add.s(1, 2) | group(add.s(1), add.s(2)) | total.s()).delay()
    assert r.get(timeout=SOON) == 9
    assert isinstance(r.parent, GroupResult)
    assert r.parent.get(timeout=SOON) == [4, 5]
    assert r.parent.parent.get(timeout=SOON) == 3
    assert r.parent[0].children == [r]
    assert str(r.graph).splitlines()[1].split() == ["2", f"{__name__}.add", "x", "2", "SUCCESS", "after", "1"]
    assert f'"{r.parent.id}" -> "{r.id}"' in r.graph.to_dot()
    assert len(r.graph.edges()) == 2


def test_what_ends_in_a_group_has_a_groups_handle(shared_app):
    r = (add.s(1, 2) | group(add.s(1), total.si([5]), add.s(2) | add.s(3))).delay()
    assert isinstance(r, GroupResult)
    assert r.get(timeout=SOON) == [4, 5, 8]
    assert len(r) == 3
    assert r.parent.get(timeout=SOON) == 3
    assert r[2].parent.get(timeout=SOON) == 5
    assert {one.id for one in r.as_completed()} == {one.id for one in r}


def test_each_member_of_a_group_of_chains_has_its_own_parent(shared_app):
    r = group(add.s(n, n) | add.s(1) for n in range(4)).delay()
    assert r.get(timeout=SOON) == [1, 3, 5, 7]
    assert [one.parent.get(timeout=SOON) for one in r] == [0, 2, 4, 6]
    assert r[2].parent.children == [r[2]]
    assert r.parent is None


def test_a_call_in_no_workflow_stands_alone(shared_app):
    r = add.delay(1, 2)
    assert (r.parent, r.children, r.steps, r.graph, r.root) == (None, [], [r], None, r)


# --- links


def test_what_is_linked_runs_with_the_value(shared_app):
    r = add.apply_async((1, 1), link=[add.s(2), add.s(3)], link_error=told.s())
    assert r.get(timeout=SOON) == 2
    *linked, errback = r.children
    assert [one.get(timeout=SOON) for one in linked] == [4, 5]
    assert errback.until_ready(SOON)
    assert isinstance(errback.result, TaskRevokedError)
    assert "not needed" in str(errback.result)


def test_errbacks_are_told_as_in_celery(shared_app):
    r = parse.apply_async((1,), link=add.s(2), link_error=[told.s(), told_the_id.s(), add.si(1, 1)])
    callback, *errbacks = r.children
    with pytest.raises(ValueError, match="no number"):
        callback.get(timeout=SOON)
    assert errbacks[0].get(timeout=SOON) == (r.id, "ValueError('no number')", True)
    assert errbacks[1].get(timeout=SOON) == r.id
    assert errbacks[2].get(timeout=SOON) == 2


def test_a_chains_errback_is_told_of_the_step_that_has_failed(shared_app):
    r = (add.s(1, 1) | parse.s() | add.s(1)).on_error(told_the_id.s()).delay()
    assert r.steps[-1].get(timeout=SOON) == r.parent.id
    assert r.steps[-1].name == f"{__name__}.told_the_id"


def test_a_chords_errback_is_told_once_with_its_body(shared_app):
    r = chord([add.s(1, 1), parse.s(), parse.s()], total.s()).on_error(told_the_id.s()).delay()
    assert r.children[0].get(timeout=SOON) == r.id
    assert len(r.children) == 1


def test_a_groups_errback_is_told_of_each_member_that_has_failed(shared_app):
    r = group(add.s(1, 1), parse.s(1), parse.s(2)).on_error(told_the_id.s()).delay()
    errbacks = [one.children[0] for one in r]
    assert [one.until_ready(SOON) for one in errbacks] == [True] * 3
    assert [one.state for one in errbacks] == ["REVOKED", "SUCCESS", "SUCCESS"]
    assert errbacks[2].get() == r[2].id


def test_an_errback_has_an_errback_of_its_own(shared_app):
    r = parse.s(1).on_error(parse.si().on_error(told_the_id.s())).delay()
    errback = r.children[0]
    assert errback.children[0].get(timeout=SOON) == errback.id
    with pytest.raises(ValueError, match="no number"):
        errback.get(timeout=SOON)


@pytest.mark.parametrize("first", [add.s(1, 1), parse.s(1)], ids=["succeeds", "fails"])
def test_an_errback_that_is_not_needed_has_not_failed(shared_app, first):
    r = first.on_error(told_the_id.s().on_error(add.si(1, 1).on_error(add.si(2, 2)))).delay()
    first, errback, second, third = r.steps
    assert all(one.until_ready(SOON) for one in r.steps)
    expected = "SUCCESS" if first.state == "FAILURE" else "REVOKED"
    assert [errback.state, second.state, third.state] == [expected, "REVOKED", "REVOKED"]
    assert "not needed" in str(third.result)


def test_what_is_told_of_an_error_may_be_a_composition(shared_app):
    r = parse.s(1).on_error(chain(add.si(1, 1), add.s(1)).set(link=add.s(100))).delay()
    assert [one.get(timeout=SOON) for one in r.steps[1:]] == [2, 3, 103]
    r = parse.s(1).on_error(group(add.si(1, 1), add.si(2, 2)) | total.s()).delay()
    assert r.steps[-1].get(timeout=SOON) == 6
    r = parse.s(1).on_error(nbtasks.xstarmap(add, [(1, 2)])).delay()
    assert r.steps[-1].get(timeout=SOON) == [3]
    r = add.s(1, 1).on_error(group(add.si(1, 1), add.si(2, 2)) | total.s()).delay()
    assert [one.until_ready(SOON) and one.state for one in r.steps] == ["SUCCESS", *["REVOKED"] * 3]


def test_several_errbacks_of_one_call_are_all_told(shared_app):
    r = parse.s(1).on_error(told_the_id.s()).on_error(told.s()).delay()
    assert r.children[0].get(timeout=SOON) == r.id
    assert r.children[1].get(timeout=SOON)[0] == r.id


def test_errbacks_here_as_there():
    r = parse.s(1).on_error(parse.si().on_error(told_the_id.s())).apply()
    assert r.state == "FAILURE"


# --- failure


def test_a_failing_step_ends_the_rest_with_its_exception(shared_app):
    r = (add.s(1, 1) | parse.s() | add.s(1) | add.s(2)).delay()
    with pytest.raises(ValueError, match="no number") as caught:
        r.get(timeout=SOON)
    assert line_of(r) == [("add", "FAILURE")] * 2 + [("parse", "FAILURE"), ("add", "SUCCESS")]
    assert isinstance(r.get(propagate=False), ValueError)
    if hasattr(caught.value, "__notes__"):
        assert (
            f"nbtasks: step 2 of 4 ({__name__}.parse) failed; 2 later steps were not run"
            in caught.value.__notes__
        )


def test_a_failing_member_leaves_the_others_results(shared_app):
    r = chord([add.s(1, 1), parse.s(), add.s(2, 2)], total.s()).delay()
    with pytest.raises(ValueError, match="no number"):
        r.get(timeout=SOON)
    error = r.result
    assert type(error) is ChordError
    assert error.failed_id == r.parent[1].id
    assert r.parent.until_ready(SOON)
    first, failed, last = error.results.get(propagate=False)
    assert (first, type(failed), last) == (2, ValueError, 4)


@task
def saves_the_rest(request, error, traceback):
    return [one for one in error.results.get(propagate=False) if not isinstance(one, Exception)]


def test_an_errback_gets_what_the_other_members_have_given(shared_app):
    r = chord([add.s(1, 1), parse.s(), add.s(2, 2)], total.s()).on_error(saves_the_rest.s()).delay()
    assert r.children[0].get(timeout=SOON) == [2, 4]


def test_a_group_raises_the_first_by_position(shared_app):
    r = group(add.s(1, 1), parse.s(), add.s("a", 1)).delay()
    with pytest.raises(ValueError, match="no number"):
        r.get(timeout=SOON)
    assert [type(one) for one in r.get(propagate=False)] == [int, ValueError, TypeError]
    assert (r.state, r.failed(), r.completed_count(), r.failed_count()) == ("FAILURE", True, 1, 2)


# --- revoked


def test_revoking_the_result_revokes_the_workflow(shared_app, eventually):
    r = (never.s() | add.s(1) | group(add.s(1), total.si([1])) | total.s()).delay()
    eventually(lambda: r.root.state == "STARTED", "the first step runs")
    assert r.why_pending() == f"waits for step 1 ({__name__}.never)"
    r.revoke(terminate=True)
    assert all(one.until_ready(SOON) for one in r.steps)
    assert {one.state for one in r.steps} == {"REVOKED"}
    with pytest.raises(TaskRevokedError):
        r.get(timeout=SOON)


def test_revoking_a_step_revokes_what_waits_for_it_and_nothing_else(shared_app, eventually):
    r = group(add.s(1, 1) | never.s() | add.s(1), add.s(2, 2)).delay()
    line = r[0]
    eventually(lambda: line.parent.state == "STARTED", "the second step runs")
    line.parent.revoke(terminate=True)
    assert line.until_ready(SOON)
    assert line_of(line) == [("add", "REVOKED"), ("never", "REVOKED"), ("add", "SUCCESS")]
    assert r[1].get(timeout=SOON) == 4


def test_revoking_a_groups_result_revokes_what_comes_before_it(shared_app):
    r = (never.s() | group(add.s(1), total.si([1]))).delay()
    r.revoke(terminate=True)
    assert r.until_ready(SOON)
    assert r.parent.until_ready(SOON)
    assert (r.state, r.parent.state) == ("REVOKED", "REVOKED")


# --- signatures on their way


def test_a_signature_is_an_argument_and_a_task_submits_workflows(shared_app):
    @shared_app.task
    def run(composition):
        return composition.delay().id

    composed = group(add.s(n, n) for n in range(4)) | total.s()
    done = nbtasks.AsyncResult(run.delay(composed).get(timeout=SOON))
    assert done.get(timeout=SOON) == 12


def test_later_options_are_those_of_each_step(shared_app):
    r = chain(add.s(1, 1), add.s(2).set(countdown=0.2), add.s(3)).apply_async(countdown=0.1, priority=9)
    assert r.get(timeout=SOON) == 7
    assert {one.batch.parcel.options.task.priority for one in r.steps} == {9}
    assert [one.batch.parcel.options.delay_s for one in r.steps] == pytest.approx([0.1, 0.2, 0.0])


def test_values_are_handed_on_of_tasks_that_keep_none(shared_app):
    @shared_app.task(ignore_result=True)
    def forgets(n):
        return n + 1

    assert chord([forgets.s(1), forgets.s(2)], total.s()).delay().get(timeout=SOON) == 5
    assert isinstance((forgets.s(1) | add.s(1)).delay(), AsyncResult)


def test_a_group_of_several_batches_is_found_again(shared_app):
    made = {
        "chains": group(add.s(k, 1) | add.s(10) for k in range(3)),
        "mixed": group(add.s(1, 2), add.s(3, 4) | add.s(5), add.si(6, 7).set(priority=9)),
        "named": group(add.s(1, k).set(task_id=f"saved {time.time_ns()} {k}") for k in range(3)),
        "nested": group(add.s(1, 1), add.s(1, 1) | group(add.s(1), add.s(2)), add.s(5, 5)),
    }
    for composition in made.values():
        handle = composition.delay().save()
        with nbtasks.App("looks on", namespace=shared_app.connection.namespace) as other:
            found = GroupResult.restore(handle.id, app=other)
            assert found.id == handle.id
            assert found.get(timeout=60) == handle.get(timeout=60)
            assert GroupResult.restore(handle.id, app=other).save().id == handle.id
    empty = group([]).delay().save()
    with pytest.raises(UnknownCall, match="nobody has saved a group"):
        GroupResult.restore(empty.id)
    one = add.delay(1, 1)
    with pytest.raises(UnknownCall, match="is the handle of one call"):
        GroupResult.restore(one.id)


@pytest.mark.parametrize("eager", [False, True])
def test_calls_of_one_composition_do_not_share_an_id(shared_app, eager):
    same = add.s(1, 1).set(task_id="the same")
    for composition in (
        group(same, same),
        same | add.s(1).set(task_id="the same"),
        group(same, total.s([1])) | total.s().set(task_id="the same"),
    ):
        with (
            nbtasks.App("here", eager=True) if eager else contextlib.nullcontext(),
            pytest.raises(ConfigError, match="'the same' is given to 2 calls"),
        ):
            composition.delay()


# --- from another process


def test_a_workflow_of_another_process_is_known_as_a_whole_when_it_is_attached(shared_app):
    from nbtasks.client.batches.wholeworkflow import shown_run

    r = (group(add.s(n, n) for n in range(3)) | total.s() | parse.s() | add.s(1)).delay()
    assert r.until_ready(SOON)
    with nbtasks.App("other", namespace=shared_app.connection.namespace) as other:
        [one] = other.attach(r.parent.parent.id)
        assert one.get() == 6
        assert [step.state for step in one.steps] == ["SUCCESS", "SUCCESS", "FAILURE", "FAILURE"]
        assert one.parent.get() == [0, 2, 4]
        assert [later.id for later in one.children] == [r.parent.id]
        assert repr(one.graph) == repr(r.graph)
        whole = shown_run(one.batch)
        assert (whole.id, whole.n, whole.title) == (r.id, 6, shown_run(r.batch).title)
        assert [handle.id for handle in other.attach(last=1)] == [r.id], (
            "one run, by the handle of its result"
        )
        with pytest.raises(ConfigError, match="not known in this process"):
            one.children[0].retry()
        waits = add.s(1, 1).set(countdown=600) | add.s(1) | add.s(2)
        r = waits.delay()
        [one] = other.attach(r.parent.id)
        assert "waits for step 1 (tests.client.test_workflow_handles.add)" in one.why_pending()
        shown_run(one.batch).revoke()
        assert r.until_ready(SOON)
        assert [step.state for step in r.steps] == ["REVOKED"] * 3
