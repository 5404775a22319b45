"""When calls ran, where, and how earlier attempts ended: on handles and in tables."""

import itertools
import time
from datetime import datetime, timezone

import pytest

from nbtasks import App, GroupResult, current_call
from nbtasks.client.batches.course import course_of

SOON = 60


def nap(seconds):
    time.sleep(seconds)


def third_time(n):
    if current_call().attempt < 3:
        raise ValueError(f"not yet: {n}")
    return n


def test_a_table_says_when_and_where_each_call_ran(shared_app):
    pytest.importorskip("pandas")
    before = datetime.now(timezone.utc)
    group = shared_app.task(nap).map([0.2, 0.1, 0.1, 0.1])
    group.get(timeout=SOON)
    table = group.to_frame()
    assert (table.started_at >= before).all()
    assert (table.ended_at <= datetime.now(timezone.utc)).all()
    ran = (table.ended_at - table.started_at).dt.total_seconds()
    assert (abs(ran - table.seconds) < 0.01).all()
    assert (table.attempt == 1).all()
    assert (table.queued_s >= 0).all()
    children = {course_of(group.batch, index).last.child for index in range(4)}
    assert children <= {0, 1}
    # Calls of one child never overlap.
    spans = sorted(
        (course.last.child, course.last.began_at, course.last.ended_at)
        for course in (course_of(group.batch, index) for index in range(4))
    )
    for (child, _, ended_at), (other, began_at, _) in itertools.pairwise(spans):
        assert child != other or ended_at <= began_at + 0.001
    assert abs((table.ended_at[0] - group[0].date_done).total_seconds()) < 0.001


def test_a_table_of_calls_that_wait_has_no_times(shared_app):
    pytest.importorskip("pandas")
    group = shared_app.task(nap, queue="nowhere").map([1, 2])
    table = group.to_frame()
    group.revoke()
    assert table.started_at.isna().all()
    assert table.queued_s.isna().all()
    assert (table.attempt == 0).all()


def test_how_each_earlier_attempt_ended_is_known(shared_app):
    task = shared_app.task(third_time, retries=3, default_retry_delay=0.1, retry_backoff=False)
    group = task.map([5])
    assert group.get(timeout=SOON) == [5]
    course = course_of(group.batch, 0)
    assert [(one.number, one.state, one.error) for one in course.attempts] == [
        (1, "RETRY", "ValueError: not yet: 5"),
        (2, "RETRY", "ValueError: not yet: 5"),
        (3, "SUCCESS", ""),
    ]
    times = [moment for one in course.attempts for moment in (one.began_at, one.ended_at)]
    assert times == sorted(times)
    assert course.queued_s < times[2] - course.queued_at


def test_another_process_knows_the_times_of_what_has_ended(shared_app):
    group = shared_app.task(nap).map([0.1, 0.1])
    group.get(timeout=SOON)
    namespace = shared_app.connection.namespace
    with App(namespace, namespace=namespace) as other:
        seen = GroupResult(group.id, app=other)
        for index in range(2):
            mine, theirs = course_of(group.batch, index).last, course_of(seen.batch, index).last
            assert abs(mine.began_at - theirs.began_at) < 0.5
            assert (mine.child, mine.worker, mine.number) == (theirs.child, theirs.worker, theirs.number)
