"""A handle as an argument: the call waits for what it stands for, and gets the value in its place."""

from __future__ import annotations

import dataclasses
import threading

import pytest

import nbtasks
from nbtasks import App, ChordError, ConfigError, GroupResult, NotPicklable, group, task
from nbtasks.client.resultset import ResultSet

SOON = 60.0


@task
def one(value):
    return value


@task
def pair(first, second=None):
    return first, second


@task
def wait_at(path, value=None):
    import pathlib
    import time

    while not pathlib.Path(path).exists():
        time.sleep(0.01)
    return value


@task
def bad(*_):
    raise ValueError("no number")


@pytest.fixture
def door(tmp_path):
    """A file that calls of wait_at wait for."""
    yield tmp_path / "open"
    (tmp_path / "open").touch()


@dataclasses.dataclass
class Box:
    inside: object


def test_a_call_waits_for_a_handle_and_gets_its_value(shared_app, door):
    first = wait_at.delay(str(door), 7)
    second = one.delay(first)
    assert second.state == "PENDING"
    assert second.why_pending().startswith("waits for step 1 (")
    door.touch()
    assert second.get(timeout=SOON) == 7
    assert second.parent == first
    assert [step.id for step in second.steps] == [first.id, second.id]


@pytest.mark.parametrize("ended", [False, True])
def test_wherever_the_handle_lies(shared_app, ended):
    call, many = one.delay(3), one.map([1, 2])
    if ended:
        call.get(timeout=SOON), many.get(timeout=SOON)
    given = {"a": [call, (many, {"b": call})], "c": Box(many)}
    found = pair.delay(given, second=call).get(timeout=SOON)
    assert found == ({"a": [3, ([1, 2], {"b": 3})], "c": Box([1, 2])}, 3)


def test_every_kind_of_handle(shared_app):
    spread = group(one.s(1), pair.s(2)).delay()
    nested = group(one.s(0), one.s(1) | group(one.s(), one.s())).delay()
    together = ResultSet([one.delay(1), one.map([2, 3])])
    many = one.map(range(5))
    handles = [spread, nested, together, many[3], many[1:3], one.map([]), (one.s(4) | one.s()).delay()]
    assert one.delay(handles).get(timeout=SOON) == [
        [1, (2, None)], [0, [1, 1]], [1, [2, 3]], 3, [1, 2], [], 4,
    ]  # fmt: skip


def test_a_call_of_a_map_is_waited_for_alone(shared_app, door):
    many = wait_at.map([str(door), "/"])
    assert one.delay(many[1]).get(timeout=SOON) is None
    assert not many[0].ready()


def test_each_call_of_a_map_needs_its_own_handles_alone(shared_app):
    wrong, right = bad.delay(), one.delay(1)
    many = pair.map([right, wrong, 5, right])
    assert isinstance(many, GroupResult)
    values = many.get(timeout=SOON, propagate=False)
    assert [type(value) for value in values] == [tuple, ValueError, tuple, tuple]
    assert [many[0].get(), many[2].get(), many[3].get()] == [(1, None), (5, None), (1, None)]
    assert pair.starmap([(1, right), (right, right)]).get(timeout=SOON) == [(1, 1), (1, 1)]
    assert one.map(handle for handle in [right, right]).get(timeout=SOON) == [1, 1]
    assert one.map([1, [right]]).get(timeout=SOON) == [1, [1]]


def test_a_failure_before_it_is_its_own(shared_app):
    after = one.delay(bad.delay())
    with pytest.raises(ValueError, match="no number") as caught:
        after.get(timeout=SOON)
    # Python 3.10 has no notes.
    assert "step 1 of 2" in "\n".join(getattr(caught.value, "__notes__", ["step 1 of 2"]))
    assert after.state == "FAILURE"
    late = bad.delay()
    late.until_ready(SOON)
    with pytest.raises(ValueError, match="no number"):
        one.delay(late).get(timeout=SOON)


def test_a_failure_in_a_map_before_it_is_that_of_a_chord(shared_app):
    after = one.delay([bad.map([1, 2]), 1])
    assert after.until_ready(SOON)
    assert isinstance(after.result, ChordError)
    with pytest.raises(ValueError, match="no number"):
        after.get()


def test_it_is_revoked_with_what_it_waits_for(shared_app, door):
    first = wait_at.delay(str(door))
    after = one.delay(first)
    first.revoke(terminate=True)
    assert after.until_ready(SOON)
    assert after.state == "REVOKED"


def test_what_it_waits_for_goes_on_when_it_is_revoked(shared_app, door):
    first = wait_at.delay(str(door), 1)
    after = one.delay(first)
    after.revoke()
    assert after.state == "REVOKED"
    door.touch()
    assert first.get(timeout=SOON) == 1


def test_what_was_submitted_again_counts(shared_app, tmp_path):
    @task
    def once_wrong(folder):
        import pathlib

        marks = len(list(pathlib.Path(folder).iterdir()))
        (pathlib.Path(folder) / str(marks)).touch()
        return 1 // marks

    call = once_wrong.delay(str(tmp_path))
    assert call.until_ready(SOON)
    assert call.failed()
    call.retry()
    assert one.delay(call).get(timeout=SOON) == 1
    assert call.get(timeout=SOON) == 1
    assert one.delay(call).get(timeout=SOON) == 1


def test_handles_in_compositions(shared_app, door):
    first = wait_at.delay(str(door), 1)
    chain = (pair.s(first) | pair.s(first)).delay()
    members = group(pair.s(first, n) for n in range(3)).delay()
    body = (group(one.s(first), one.s(2)) | pair.s(first)).delay()
    door.touch()
    assert chain.get(timeout=SOON) == ((1, None), 1)
    assert members.get(timeout=SOON) == [(1, 0), (1, 1), (1, 2)]
    assert body.get(timeout=SOON) == ([1, 2], 1)


def test_a_handle_of_another_process(shared_app):
    handle = one.delay(5)
    handle.get(timeout=SOON)
    with App(connection=shared_app.connection) as other:
        again = nbtasks.AsyncResult(handle.id, app=other)
        assert other.task(one.function).delay(again).get(timeout=SOON) == 5


def test_wrong_uses(shared_app, door):
    handle = one.delay(1)
    with App(connection=shared_app.connection) as other, pytest.raises(ConfigError, match="of another App"):
        other.task(one.function).delay(handle)
    with pytest.raises(ConfigError, match="memo"):
        shared_app.task(one.function, memo=True).delay(handle)
    read_on = threading.Event()
    with pytest.raises(ConfigError, match="max_parallel"):
        one.delay(one.map((read_on.wait() for _ in range(3)), max_parallel=1))
    read_on.set()
    with pytest.raises(ConfigError, match="chunk=2"):
        one.map([handle], chunk=2)
    with pytest.raises(NotPicklable, match="lock"):
        one.delay([handle, threading.Lock()])
    with pytest.raises(ConfigError, match="1,000 are the most that"):
        one.delay(list(one.map(range(1001))))
    with pytest.raises(TypeError, match="missing"):
        pair.apply_async((), {"second": handle})


def test_it_runs_here(shared_app, door):
    handle = one.delay(2)
    assert pair.apply((handle, [handle])).get() == (2, [2])
    with App(eager=True) as app:
        here = app.task(pair.function)
        assert here.delay(here.delay(1)).get() == ((1, None), None)
        assert here.map([here.delay(1), 2]).get() == [((1, None), None), (2, None)]
