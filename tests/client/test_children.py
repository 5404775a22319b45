"""What a task submits while it runs: known to it, and to the handle of its call."""

from __future__ import annotations

import nbtasks
from nbtasks import App, AsyncResult, current_call, group, task

SOON = 60.0


@task
def double(x):
    return 2 * x


@task
def total(numbers):
    return sum(numbers)


@task(bind=True)
def submits(self, n):
    single = [double.delay(k) for k in range(n)]
    many = double.map(range(n), quiet=True)
    after = (group(double.s(1), double.s(2)) | total.s()).delay()
    assert self.request.children == [*single, many, after]
    return [one.id for one in self.request.children]


@task
def submits_nothing():
    return current_call().children


def test_a_call_knows_what_it_has_submitted(shared_app):
    r = submits.delay(3)
    ids = r.get(timeout=SOON)
    assert [one.id for one in r.children] == ids
    *single, many, after = r.children
    assert [one.get(timeout=SOON) for one in single] == [0, 2, 4]
    assert many.get(timeout=SOON) == [0, 2, 4]
    assert after.get(timeout=SOON) == 6
    assert [one.id for one in AsyncResult(r.id).children] == ids


def test_children_are_collected(shared_app):
    r = submits.delay(1)
    assert [value for _, value in r.collect()][1:] == [0, [0], 6, 0]


def test_most_calls_have_none(shared_app):
    r = submits_nothing.delay()
    assert (r.get(timeout=SOON), r.children) == ([], [])


def test_children_of_another_process(shared_app):
    r = submits.delay(2)
    r.get(timeout=SOON)
    with App("other", namespace=shared_app.connection.namespace) as other:
        assert [one.id for one in AsyncResult(r.id, app=other).children] == [one.id for one in r.children]


def test_a_step_has_both_what_waits_for_it_and_what_it_has_submitted(shared_app):
    r = (submits.s(1) | nbtasks.task(len).s()).delay()
    assert r.get(timeout=SOON) == 3
    assert [one.id for one in r.parent.children] == [r.id, *r.parent.get()]


def test_a_call_that_runs_here():
    with App("eager", eager=True) as eager:

        @eager.task(bind=True)
        def submits_here(self):
            double_here.delay(1)
            return len(self.request.children)

        @eager.task
        def double_here(x):
            return 2 * x

        assert submits_here.delay().get() == 1
