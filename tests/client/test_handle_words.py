"""Handles take and answer Celery's words; sets of handles that somebody has put together."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from nbtasks import ConfigError, GroupResult, IncompleteStream, ResultSet, TimeoutError

SOON = 60.0


@pytest.fixture(scope="module")
def tasks(shared_app):
    @shared_app.task
    def double(x):
        return x * 2

    @shared_app.task
    def fail():
        raise ValueError("no")

    @shared_app.task(bind=True)
    def steps(self, path):
        self.update_state(state="PROGRESS", meta={"current": 1})
        end = time.monotonic() + SOON
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.005)
        return "done"

    return SimpleNamespace(double=double, fail=fail, steps=steps)


def test_get_takes_what_changes_nothing(tasks):
    words = {"interval": 0.1, "no_ack": True, "follow_parents": True, "disable_sync_subtasks": False}
    assert tasks.double.delay(2).get(timeout=SOON, **words) == 4
    assert tasks.double.map([1, 2]).get(timeout=SOON, **words) == [2, 4]
    assert tasks.double.apply((2,)).get(**words) == 4
    with pytest.raises(TypeError, match="get\\(\\) has no argument 'intervall'"):
        tasks.double.delay(2).get(intervall=1)


def test_callbacks_of_get_hear_of_values(tasks):
    heard = []
    call = tasks.double.delay(2)
    call.get(timeout=SOON, callback=lambda id, value: heard.append((id, value)))
    assert heard == [(call.id, 4)]
    group = tasks.double.map([1, 2])
    heard.clear()
    group.join(timeout=SOON, callback=lambda id, value: heard.append((id, value)))
    assert heard == [(f"{group.id}:0", 2), (f"{group.id}:1", 4)]


def test_on_message_hears_of_states(tasks, gate):
    heard, intervals = [], []

    def on_message(body):
        heard.append(body)
        if body["status"] == "PROGRESS":
            gate.open()

    call = tasks.steps.delay(gate.path)
    assert (
        call.get(timeout=SOON, interval=0.02, on_message=on_message, on_interval=lambda: intervals.append(1))
        == "done"
    )
    told = [
        (body["task_id"], body["status"], body["result"]) for body in heard if body["status"] != "STARTED"
    ]
    assert told == [(call.id, "PROGRESS", {"current": 1}), (call.id, "SUCCESS", "done")]
    assert intervals


def test_on_message_does_not_outwait_the_timeout(tasks, gate):
    call = tasks.steps.delay(gate.path)
    with pytest.raises(TimeoutError):
        call.get(timeout=0.05, on_message=lambda body: None)
    with pytest.raises(call.TimeoutError):
        call.get(timeout=0)
    with pytest.raises(IncompleteStream):
        list(call.iterdeps())
    gate.open()
    assert call.get(timeout=SOON) == "done"


def test_looks_around(tasks):
    call, group = tasks.double.delay(2), tasks.double.map([1, 2])
    assert [value for _, value in call.collect(timeout=SOON)] == [4]
    assert [value for _, value in group.collect(timeout=SOON)] == [[2, 4], 2, 4]
    assert (call.get_leaf(), call.exists(), call.ignored) == (4, True, False)
    assert call.as_tuple() == ((call.id, None), None)
    assert group.as_tuple()[1] == [((f"{group.id}:{n}", None), None) for n in range(2)]
    assert call.as_list() == [call.id]
    assert call.maybe_throw() == 4
    failed = tasks.fail.delay()
    failed.until_ready(SOON)
    with pytest.raises(ValueError, match="no"):
        failed.maybe_throw()
    assert isinstance(failed.maybe_throw(propagate=False), ValueError)


def test_revoke_takes_a_signal_and_waits(tasks, gate):
    call = tasks.steps.delay(gate.path)
    call.revoke(terminate=True, signal="SIGKILL", wait=True, timeout=SOON)
    assert call.state == "REVOKED"
    with pytest.raises(TypeError, match="revoke\\(\\) has no argument 'sygnal'"):
        call.revoke(sygnal=1)


def test_a_group_is_found_again(tasks):
    group = tasks.double.map([1, 2]).save()
    assert GroupResult.restore(group.id).get(timeout=SOON) == [2, 4]


def test_a_set_of_handles(tasks):
    one, two, many = tasks.double.delay(1), tasks.double.delay(2), tasks.double.map([3, 4])
    found = ResultSet([one, two])
    found.add(many)
    found.add(one)
    assert len(found) == 3
    assert found.get(timeout=SOON) == [2, 4, [6, 8]]
    assert (found.ready(), found.successful(), found.failed(), found.waiting()) == (True, True, False, False)
    assert found.completed_count() == 3
    found.remove(two)
    found.discard(two)
    assert found.results == [one, many]
    with pytest.raises(KeyError):
        found.remove(two)
    found.update([two, tasks.fail.delay()])
    assert isinstance(found.join(timeout=SOON, propagate=False)[-1], ValueError)
    with pytest.raises(ValueError, match="no"):
        found.get(timeout=SOON)
    found.clear()
    assert (len(found), found.get(), found.ready()) == (0, [], True)
    with pytest.raises(ConfigError, match="ResultSet: 5 is no handle"):
        found.add(5)
