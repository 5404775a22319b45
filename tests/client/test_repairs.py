"""Calls that have failed and are submitted again: the handle that had them tells what becomes of them."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbtasks import App, BrokerUnavailable, ConfigError, GroupResult, NotPicklable, TaskRevokedError
from nbtasks.client.batches.course import course_of
from nbtasks.jupyter.card.board import Board
from nbtasks.jupyter.card.said import text_said

SOON = 60.0


def odd_needs(path, x):
    """Task code: fail on odd numbers as long as a file is missing."""
    print("x is", x)
    if x % 2 and not Path(path).exists():
        raise OSError(f"no {x}")
    return x


def odd_waits(path, begun, x):
    """Task code: fail on odd numbers at first; the next time wait for a file."""
    mark = Path(f"{begun}.{x}")
    if x % 2 and not mark.exists():
        mark.touch()
        raise OSError(f"no {x}")
    end = time.monotonic() + 60
    while x % 2 and not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.01)
    return x


def failed(app, path, n=6, **options):
    """Return a map whose odd calls have failed."""
    group = app.task(odd_needs).starmap([(path, x) for x in range(n)], **options)
    assert group.until_ready(SOON)
    assert group.failed_count() == n // 2
    return group


def said(batch):
    """What a card says of a batch, as text."""
    return text_said(Board(batch).fold(time.time()))


def test_a_map_has_the_new_results_among_the_others(shared_app, gate):
    group = failed(shared_app, gate.path)
    assert group.state == "FAILURE"
    gate.open()
    assert group.retry_failed() is group
    assert group.get(timeout=SOON) == list(range(6))
    assert (group.state, group.failed(), group.failed_count(), group.completed_count()) == (
        "SUCCESS",
        False,
        0,
        6,
    )
    assert [call.retries for call in group] == [0, 1] * 3
    assert [call.result for call in group.results] == list(range(6))
    assert [call.stdout for call in group] == [f"x is {x}\n" for x in range(6)]
    assert sorted(call.index for call in group.as_completed()) == list(range(6))
    assert said(group.batch).startswith("done, 6 calls, ")
    called = threading.Event()
    group.then(lambda handle: called.set())
    assert called.wait(SOON)

    async def awaited():
        return await group

    assert asyncio.run(awaited()) == list(range(6))


def test_the_table_of_a_repaired_map(shared_app, gate):
    pytest.importorskip("pandas")
    group = failed(shared_app, gate.path, 4)
    before = group.to_frame()
    assert list(before["attempt"]) == [1] * 4
    gate.open()
    group.retry_failed().get(timeout=SOON)
    after = group.to_frame()
    assert list(after["result"]) == [0, 1, 2, 3]
    assert list(after["attempt"]) == [1, 2, 1, 2]
    assert after["error"].isna().all()
    assert (after["started_at"][[1, 3]] > before["started_at"][[1, 3]]).all()


def test_what_fails_again_names_the_attempts_before(shared_app, gate):
    group = failed(shared_app, gate.path, 4)
    for times in (2, 3):
        with pytest.raises(OSError, match="no 1") as raised:
            group.retry_failed().get(timeout=SOON)
        if hasattr(raised.value, "__notes__"):
            assert f"(attempt {times})" in "".join(raised.value.__notes__)
    assert group.failed_count() == 2
    attempts = course_of(group.batch, 1).attempts
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert [attempt.error for attempt in attempts] == ["OSError: no 1", "OSError: no 1", ""]
    assert "2 failed" in said(group.batch)


def test_a_single_call(shared_app, gate):
    task = shared_app.task(odd_needs)
    call = task.delay(gate.path, 1)
    with pytest.raises(OSError, match="no 1"):
        call.get(timeout=SOON)
    gate.open()
    assert call.retry() is call
    assert call.get(timeout=SOON) == 1
    assert (call.state, call.retries, call.stdout) == ("SUCCESS", 1, "x is 1\n")
    with pytest.raises(ConfigError, match=r"no call of tests.client.test_repairs.odd_needs .* has failed"):
        call.retry()


def test_one_call_of_several(shared_app, gate):
    group = failed(shared_app, gate.path, 4)
    calls = [shared_app.task(odd_needs).delay(gate.path, x) for x in range(4)]
    assert [call.until_ready(SOON) for call in calls] == [True] * 4
    gate.open()
    assert group[3].retry().get(timeout=SOON) == 3
    assert calls[3].retry().get(timeout=SOON) == 3
    assert [call.state for call in group] == ["SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]
    assert [call.state for call in calls] == ["SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]


def test_who_waits_while_others_still_run_gets_all_results(shared_app, gate, tmp_path, eventually):
    one = str(tmp_path / "one")
    Path(f"{one}.3").touch()
    group = shared_app.task(odd_waits).starmap([(gate.path, one, x) for x in range(4)], chunk=1)
    # 1 has failed, 3 waits for the gate.
    eventually(lambda: group.failed_count() == 1 and group.completed_count() == 2, "others have ended")
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(group.get, timeout=SOON)
        coming = pool.submit(lambda: [call.index for call in group.as_completed(SOON)])
        group.retry_failed()
        assert group.state == "STARTED"
        eventually(lambda: group[1].state == "STARTED", "it runs again")
        with pytest.raises(ConfigError, match="has failed"):
            group.retry_failed()
        gate.open()
        assert waiting.result(SOON) == [0, 1, 2, 3]
        assert sorted(set(coming.result(SOON))) == [0, 1, 2, 3]
    assert group.state == "SUCCESS"


def test_a_repair_can_be_cancelled_and_made_again(shared_app, gate, tmp_path, eventually):
    group = shared_app.task(odd_waits).starmap(
        [(gate.path, str(tmp_path / "m"), x) for x in range(4)], chunk=1
    )
    group.until_ready(SOON)
    group.retry_failed()
    eventually(lambda: group[1].state == "STARTED", "it runs")
    group.revoke(terminate=True)
    assert group.until_ready(SOON)
    assert [call.state for call in group] == ["SUCCESS", "REVOKED", "SUCCESS", "REVOKED"]
    with pytest.raises(TaskRevokedError, match="2 of 4 calls"):
        group.get(timeout=SOON)
    gate.open()
    assert group.retry_failed().get(timeout=SOON) == [0, 1, 2, 3]


def test_one_call_of_a_repair_can_be_revoked(shared_app, gate, tmp_path, eventually):
    group = shared_app.task(odd_waits).starmap(
        [(gate.path, str(tmp_path / "m"), x) for x in range(4)], chunk=1
    )
    group.until_ready(SOON)
    group.retry_failed()
    eventually(lambda: group[3].state == "STARTED", "it runs")
    group[3].revoke(terminate=True)
    eventually(lambda: group[3].state == "REVOKED", "it is revoked")
    assert not group.ready()
    gate.open()
    assert [type(value) for value in group.get(timeout=SOON, propagate=False)] == [
        int,
        int,
        int,
        TaskRevokedError,
    ]


def test_what_cannot_be_submitted_stays_as_it_was(shared_app):
    def refuse(values):
        raise OSError("no")

    values = [1]
    group = shared_app.task(refuse).map([values])
    group.until_ready(SOON)
    values.append(threading.Lock())
    with pytest.raises(NotPicklable):
        group.retry_failed()
    assert (group.state, group.ready()) == ("FAILURE", True)
    with pytest.raises(OSError, match="no"):
        group.get(timeout=SOON)


def test_of_whose_end_nobody_will_tell_stays_as_it_was(shared_app, gate, tmp_path, eventually):
    group = shared_app.task(odd_waits).starmap(
        [(gate.path, str(tmp_path / "m"), x) for x in range(4)], chunk=1
    )
    group.until_ready(SOON)
    group.retry_failed()
    eventually(lambda: group[1].state == "STARTED", "it runs")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(group.get, timeout=SOON)
        again = group.batch.repairs.all()[0].again
        shared_app.engine.registry.fail(again, BrokerUnavailable("the server is gone"))
        with pytest.raises(OSError, match="no 1"):
            waiting.result(SOON)
    assert [call.state for call in group] == ["SUCCESS", "FAILURE"] * 2
    assert [call.retries for call in group] == [0] * 4
    assert not group.batch.running
    gate.open()
    assert group.retry_failed().get(timeout=SOON) == [0, 1, 2, 3]


def test_the_time_between_is_no_time_of_the_run(shared_app, gate):
    group = failed(shared_app, gate.path, 2)
    time.sleep(1.2)
    idle_from = group.batch.ended_at
    gate.open()
    began = time.time()
    group.retry_failed().get(timeout=SOON)
    view = Board(group.batch).fold(time.time())
    assert view.idle_s == pytest.approx(began - idle_from, abs=0.5)
    assert view.elapsed_s == pytest.approx(view.ended_at - view.created_at - view.idle_s)


def test_another_client_sees_one_run(shared_app, gate, tmp_path, eventually):
    group = shared_app.task(odd_waits).starmap(
        [(gate.path, str(tmp_path / "m"), x) for x in range(4)], chunk=1
    )
    group.until_ready(SOON)
    with App(connection=shared_app.connection) as early, App(connection=shared_app.connection) as late:
        known = GroupResult(group.id, app=early)
        assert known.state == "FAILURE"
        group.retry_failed()
        eventually(lambda: group[1].state == "STARTED", "it runs")
        (again,) = late.attach(group.id)
        assert (again.state, again.failed_count()) == ("STARTED", 0)
        assert [handle.id for handle in late.attach(group.batch.repairs.all()[0].again.id)] == [group.id]
        assert [handle.id for handle in late.attach(last=1)] == [group.id]
        gate.open()
        assert again.get(timeout=SOON) == [0, 1, 2, 3]
        assert GroupResult(group.id, app=early).get(timeout=SOON) == [0, 1, 2, 3]
        assert known.get(timeout=SOON) == [0, 1, 2, 3]
        assert [call.retries for call in known] == [0, 1, 0, 1]
    group.get(timeout=SOON)


def test_what_another_process_submitted_cannot_be_repaired(shared_app, gate):
    group = failed(shared_app, gate.path, 2)
    with (
        App(connection=shared_app.connection) as other,
        pytest.raises(ConfigError, match="not known in this process"),
    ):
        GroupResult(group.id, app=other).retry_failed()


def test_repairs_are_no_runs_of_their_own(shared_app, gate):
    group = failed(shared_app, gate.path, 2)
    listed = [batch.id for batch in shared_app.batches(quiet=True)]
    gate.open()
    group.retry_failed().get(timeout=SOON)
    assert [batch.id for batch in shared_app.batches(quiet=True)] == listed
