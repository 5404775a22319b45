"""How a worker runs calls: retries, limits, schedules, priorities, output, arrays, nested tasks."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
import time
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import nbtasks
from nbtasks import (
    App,
    MaxRetriesExceededError,
    PayloadTooLarge,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    TimeLimitExceeded,
)

SOON = 60.0


def get(handle, **how):
    """Wait for a result."""
    return handle.get(timeout=SOON, **how)


def note(path, text):
    """Task code: write into a ledger; returns the number of lines before."""
    before = len(Path(path).read_text().split())
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    return before


def touch(folder, name):
    """Task code: make an empty file."""
    Path(folder, name).touch()


def wait_at(path):
    """Task code: wait until a gate is open."""
    end = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)


# --- retries


def test_a_call_is_retried_until_it_succeeds(shared_app, ledger):
    @shared_app.task(retries=3, default_retry_delay=0.01)
    def flaky(path):
        if note(path, "try") < 2:
            raise OSError("not yet")
        return "at last"

    handle = flaky.delay(ledger.path)
    assert get(handle) == "at last"
    assert handle.retries == 2
    assert len(ledger.lines()) == 3


def test_when_no_retry_is_left_the_last_exception_counts(shared_app, ledger):
    @shared_app.task(retries=2, default_retry_delay=0.01)
    def hopeless(path):
        raise OSError(f"try {note(path, 'try')}")

    handle = hopeless.delay(ledger.path)
    with pytest.raises(OSError, match="try 2"):
        get(handle)
    assert len(ledger.lines()) == 3


def test_a_waiting_retry_is_shown_with_its_reason(shared_app, eventually):
    @shared_app.task(retries=1, default_retry_delay=60, retry_jitter=False)
    def fail():
        raise OSError("not yet")

    handle = fail.delay()
    eventually(lambda: handle.state == "RETRY", "the retry is shown")
    told = handle.why_pending()
    assert re.match(r"waits for its next attempt: again in \d+ s, after OSError: not yet", told)
    assert not handle.ready()
    handle.revoke()
    with pytest.raises(TaskRevokedError):
        get(handle)


def test_self_retry_with_countdown_and_cause(shared_app, ledger):
    @shared_app.task(bind=True, max_retries=1)
    def again(self, path):
        note(path, f"retry-{self.request.retries}")
        raise self.retry(countdown=0.01, exc=KeyError("cause"))

    with pytest.raises(KeyError, match="cause"):
        get(again.delay(ledger.path))
    assert ledger.lines() == ["retry-0", "retry-1"]


def test_self_retry_without_a_cause(shared_app):
    @shared_app.task(bind=True, max_retries=1, default_retry_delay=0.01)
    def again(self):
        self.retry()

    handle = again.delay()
    with pytest.raises(MaxRetriesExceededError, match="the one retry") as caught:
        get(handle)
    assert caught.value.call_id == handle.id


def test_retries_of_one_call(shared_app, ledger):
    @shared_app.task(default_retry_delay=0.01)
    def fail(path):
        note(path, "try")
        raise OSError

    fail.apply_async((ledger.path,), retries=1).until_ready(SOON)
    assert len(ledger.lines()) == 2


def test_in_a_map_only_the_failed_calls_are_retried(shared_app, ledger):
    @shared_app.task(retries=1, default_retry_delay=0.01)
    def some(path, x):
        note(path, x)
        if x % 5 == 0 and nbtasks.current_call().retries == 0:
            raise OSError
        return x

    assert get(some.starmap([(ledger.path, x) for x in range(20)], chunk=10)) == list(range(20))
    assert sorted(map(int, ledger.lines())) == sorted([*range(20), 0, 5, 10, 15])


def test_dont_autoretry_for(shared_app, ledger):
    @shared_app.task(
        autoretry_for=(OSError,), dont_autoretry_for=(FileNotFoundError,), default_retry_delay=0.01
    )
    def fail(path):
        note(path, "try")
        raise FileNotFoundError

    fail.delay(ledger.path).until_ready(SOON)
    assert ledger.lines() == ["try"]


def test_async_tasks_are_retried_too(shared_app, ledger):
    @shared_app.task(retries=2, default_retry_delay=0.01)
    async def flaky(path):
        if note(path, "try") < 1:
            raise OSError
        return "ok"

    assert get(flaky.delay(ledger.path)) == "ok"


# --- schedules and expiry


def test_countdown_and_why_it_waits(shared_app):
    handle = shared_app.task(time.time).apply_async(countdown=0.3)
    sent = time.time()
    assert "scheduled for" in handle.why_pending()
    # Server and task share this machine's clock; the broker's has milliseconds.
    assert get(handle) >= sent + 0.25


def test_eta_as_datetime_and_in_the_past(shared_app):
    soon = datetime.now(timezone.utc) + timedelta(seconds=0.3)
    handle = shared_app.task(time.time).apply_async(eta=soon)
    assert get(handle) >= soon.timestamp() - 0.05
    past = datetime.now(timezone.utc) - timedelta(hours=1)
    assert get(shared_app.task(len).apply_async(("ab",), eta=past)) == 2


def test_a_map_may_be_scheduled(shared_app):
    assert get(shared_app.task(abs).map([-1, -2], countdown=0.1)) == [1, 2]


def test_a_scheduled_call_can_be_revoked(shared_app, ledger, gate, eventually):
    # No worker is free before it was revoked, however long this process takes for that.
    held = [shared_app.task(wait_at).delay(gate.path) for _ in range(2)]
    eventually(lambda: all(one.state == "STARTED" for one in held), "both workers are busy")
    handle = shared_app.task(note).apply_async((ledger.path, "ran"), countdown=0.3)
    later = shared_app.task(note).apply_async((ledger.path, "later"), countdown=0.6)
    handle.revoke()
    with pytest.raises(TaskRevokedError):
        get(handle)
    gate.open()
    get(later)
    assert ledger.lines() == ["later"]


def test_an_expired_call_is_revoked_and_says_why(shared_app, ledger):
    handle = shared_app.task(note).apply_async((ledger.path, "ran"), countdown=0.4, expires=0.1)
    with pytest.raises(TaskRevokedError, match="expired"):
        get(handle)
    assert handle.state == "REVOKED"
    assert ledger.lines() == []


def test_a_call_in_time_does_not_expire(shared_app):
    assert get(shared_app.task(len).apply_async(("ab",), expires="1h")) == 2
    assert (
        get(
            shared_app.task(len).apply_async(("ab",), expires=datetime.now(timezone.utc) + timedelta(hours=1))
        )
        == 2
    )


# --- time limits


@pytest.mark.parametrize("how", ["sleep", "spin"])
def test_a_call_that_runs_too_long_is_stopped(shared_app, how):
    @shared_app.task(time_limit=0.2)
    def long(how):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if how == "sleep":
                time.sleep(60)

    handle = long.delay(how)
    with pytest.raises(TimeLimitExceeded, match=r"ran longer than its time limit of 0.2 s") as caught:
        get(handle)
    assert caught.value.call_id == handle.id
    assert handle.state == "FAILURE"
    assert get(shared_app.task(len).delay("ab")) == 2


def test_a_time_limit_of_one_call(shared_app):
    with pytest.raises(TimeLimitExceeded):
        get(shared_app.task(time.sleep).apply_async((60,), time_limit="100ms"))


def test_a_task_cannot_swallow_its_time_limit(shared_app):
    @shared_app.task(time_limit=0.2)
    def stubborn():
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001 - that is the point
            return "swallowed"

    with pytest.raises(TimeLimitExceeded):
        get(stubborn.delay())


def test_a_call_that_does_not_listen_is_killed_and_its_neighbours_run(shared_app):
    @shared_app.task(time_limit=0.2)
    def deaf(x):
        if x == 1:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    time.sleep(60)
                except BaseException:  # noqa: BLE001 - that is the point
                    continue
        return x

    values = get(deaf.map(range(4), chunk=4), propagate=False)
    assert isinstance(values[1], TimeLimitExceeded)
    assert [values[0], *values[2:]] == [0, 2, 3]


def test_a_soft_time_limit_can_be_caught_to_clean_up(shared_app):
    @shared_app.task(soft_time_limit=0.1, time_limit=30)
    def tidy():
        try:
            time.sleep(60)
        except SoftTimeLimitExceeded:
            return "cleaned up"

    assert get(tidy.delay()) == "cleaned up"


def test_a_soft_time_limit_that_is_not_caught_fails_the_call(shared_app):
    with pytest.raises(SoftTimeLimitExceeded, match="soft time limit"):
        get(shared_app.task(time.sleep, soft_time_limit=0.1).delay(60))


def test_a_quick_call_is_not_hit_by_the_limit_of_the_one_before(shared_app):
    @shared_app.task(time_limit=1.5, soft_time_limit=1.0)
    def quick(x):
        time.sleep(0.02)
        return x

    assert get(quick.map(range(100))) == list(range(100))


def test_async_calls_have_time_limits_too(shared_app):
    @shared_app.task(time_limit=0.2)
    async def long():
        await asyncio.sleep(60)

    with pytest.raises(TimeLimitExceeded):
        get(long.delay())


# --- revoking


def test_a_revoked_call_in_the_queue_never_runs(shared_app, gate, ledger, eventually):
    holding = shared_app.task(wait_at).map([gate.path] * 2, chunk=1)
    eventually(lambda: holding.batch.counts()["STARTED"] == 2, "both workers are busy")
    queued = [shared_app.task(note).delay(ledger.path, number) for number in range(4)]
    queued[1].revoke()
    queued[2].revoke(terminate=True)
    gate.open()
    assert [handle.until_ready(SOON) for handle in queued] == [True] * 4
    assert [handle.state for handle in queued] == ["SUCCESS", "REVOKED", "REVOKED", "SUCCESS"]
    assert sorted(ledger.lines()) == ["0", "3"]


def test_revoked_is_final_when_revoke_returns(shared_app):
    """Also what asks right after it: no handle says PENDING, and nobody says why a call waits that does not."""
    task = shared_app.task(len)
    for _ in range(50):
        handle = task.apply_async(("ab",), queue="unserved")
        handle.revoke()
        assert (handle.state, handle.ready(), handle.why_pending()) == ("REVOKED", True, None)
    group = task.map(["ab"] * 100, quiet=True, countdown=60)
    group.revoke()
    assert group.batch.counts()["REVOKED"] == 100
    assert group.ready()


def test_revoked_is_final_when_another_client_reads_the_news(shared_app):
    handle = shared_app.task(len).apply_async(("ab",), queue="unserved")
    with App(connection=shared_app.connection) as other:
        theirs = other.AsyncResult(handle.id)
        handle.revoke()
        assert handle.state == "REVOKED"
        with pytest.raises(TaskRevokedError):
            theirs.get(timeout=SOON)


def test_a_running_call_is_left_alone_without_terminate(shared_app, gate, eventually):
    handle = shared_app.task(wait_at).delay(gate.path)
    eventually(lambda: handle.state == "STARTED")
    handle.revoke()
    gate.open()
    assert get(handle) is None
    assert handle.state == "SUCCESS"


def test_a_running_call_is_stopped_and_the_next_is_not_hit(shared_app, tmp_path, eventually):
    @shared_app.task
    def forever(path):
        Path(path).touch()
        while True:
            time.sleep(0.01)

    for number in range(5):
        started = tmp_path / f"started-{number}"
        handle = forever.delay(str(started))
        eventually(started.exists)
        after = shared_app.task(abs).map(range(50))
        handle.revoke(terminate=True)
        with pytest.raises(TaskRevokedError):
            get(handle)
        assert get(after) == list(range(50))


def test_a_running_call_that_does_not_listen_is_killed(shared_app, tmp_path, eventually):
    @shared_app.task
    def deaf(path):
        Path(path).write_text(str(os.getpid()))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                time.sleep(0.01)
            except BaseException:  # noqa: BLE001 - that is the point
                continue

    started = tmp_path / "started"
    handle = deaf.delay(str(started))
    pid = int(eventually(lambda: started.exists() and started.read_text()))
    handle.revoke(terminate=True)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "the process is gone")
    assert handle.state == "REVOKED"


def test_limits_of_async_calls(shared_app, ledger):
    @shared_app.task
    async def tidy(path):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            note(path, "cleaned")
            raise

    with pytest.raises(SoftTimeLimitExceeded, match="soft time limit"):
        get(tidy.apply_async((ledger.path,), soft_time_limit=0.1, time_limit=30))
    with pytest.raises(TimeLimitExceeded, match=r"time limit of 0\.1 s"):
        get(tidy.apply_async((ledger.path,), time_limit=0.1))
    assert ledger.lines() == ["cleaned", "cleaned"]
    with pytest.raises(SoftTimeLimitExceeded):
        get(
            shared_app.task(tidy.function, soft_time_limit=0.1, retries=1, default_retry_delay=0).delay(
                ledger.path
            )
        )
    assert ledger.lines() == ["cleaned"] * 4


def test_an_async_call_is_cancelled(shared_app, tmp_path, eventually):
    @shared_app.task
    async def forever(path):
        try:
            touch(path, "started")
            await asyncio.sleep(60)
        finally:
            touch(path, "cleaned")

    handle = forever.delay(str(tmp_path))
    eventually((tmp_path / "started").exists)
    handle.revoke(terminate=True)
    eventually((tmp_path / "cleaned").exists, "the coroutine was cancelled")
    assert handle.state == "REVOKED"


# --- priorities


def test_higher_priorities_run_sooner(idle_app, gate, ledger, eventually):
    """One child, so that what it writes is the order in which it was given the calls."""
    idle_app.start_workers(1)
    holding = idle_app.task(wait_at).delay(gate.path)
    eventually(lambda: holding.state == "STARTED", "the worker is busy")
    tiny = idle_app.task(note)
    handles = [
        tiny.apply_async((ledger.path, priority), priority=priority)
        for priority in ("low", "normal", "high", 0, 9, 5)
    ]
    idle_app.session.flush()
    gate.open()
    for handle in handles:
        get(handle)
    assert ledger.lines() == ["high", "9", "normal", "5", "low", "0"]


# --- output


def test_everything_a_call_prints_comes_back_with_it(shared_app):
    @shared_app.task
    def talk():
        print("print")
        print("stderr", file=sys.stderr)
        logging.getLogger("some.lib").warning("logged")
        warnings.warn("warned", stacklevel=1)
        os.system("echo os.system")
        subprocess.run(["echo", "subprocess"], check=True)
        os.write(1, b"os.write\n")
        os.write(2, b"descriptor 2\n")

    handle = talk.delay()
    get(handle)
    for text in ("print", "os.system", "subprocess", "os.write"):
        assert f"{text}\n" in handle.stdout
    assert "stderr\n" in handle.stderr
    assert "logged" in handle.stderr
    assert "warned" in handle.stderr
    assert "descriptor 2\n" in handle.stdout + handle.stderr
    assert "print\n" not in handle.stderr


def test_what_c_code_writes_comes_back_too(shared_app):
    @shared_app.task
    def puts():
        import ctypes

        ctypes.CDLL(None).puts(b"from C")

    handle = puts.delay()
    get(handle)
    assert "from C\n" in handle.stdout


def test_each_call_keeps_its_own_output(shared_app):
    @shared_app.task
    def talk(x):
        print("call", x)
        os.system(f"echo shell {x}")

    group = talk.map(range(20))
    get(group)
    assert [handle.stdout for handle in group] == [f"call {x}\nshell {x}\n" for x in range(20)]


def test_output_of_a_failed_and_of_a_retried_call(shared_app):
    @shared_app.task(retries=1, default_retry_delay=0.01)
    def fail():
        print("attempt", nbtasks.current_call().attempt)
        raise ValueError

    handle = fail.delay()
    handle.until_ready(SOON)
    assert handle.stdout == "attempt 2\n"
    assert {line.text for line in handle.batch.output} == {"attempt 1\n", "attempt 2\n"}


def test_a_lot_of_output_is_bounded_and_keeps_both_ends(shared_app):
    @shared_app.task
    def flood():
        print("first line")
        for number in range(30_000):
            print("line", number)
        print("last line")

    handle = flood.delay()
    get(handle)
    assert handle.stdout.startswith("first line\n")
    assert handle.stdout.endswith("last line\n")
    assert "characters left out" in handle.stdout + handle.stderr
    assert len(handle.stdout) < 100_000


def test_output_is_shown_while_the_call_runs(shared_app, gate, eventually):
    @shared_app.task
    def talk(path):
        print("begun")
        wait_at(path)
        print("over")

    handle = talk.delay(gate.path)
    eventually(lambda: [line.text for line in handle.batch.output] == ["begun\n"], "the first line is shown")
    gate.open()
    get(handle)
    assert handle.stdout == "begun\nover\n"


def test_async_calls_side_by_side_keep_their_output_apart(shared_app):
    @shared_app.task
    async def talk(x):
        for _ in range(3):
            print(x)
            await asyncio.sleep(0.005)

    group = talk.map(range(30))
    get(group)
    assert [handle.stdout for handle in group] == [f"{x}\n" * 3 for x in range(30)]


# --- progress


def test_progress_and_track_are_shown(shared_app, gate, eventually):
    @shared_app.task
    def load(path):
        for item in nbtasks.track("abcd", message="files"):
            if item == "c":
                wait_at(path)

    handle = load.delay(gate.path)
    eventually(lambda: handle.progress is not None and handle.progress.done == 2, "two of four are done")
    assert (handle.progress.total, handle.progress.message) == (4, "files")
    gate.open()
    get(handle)


# --- large values


def test_ten_megabytes_of_numpy_out_and_back(shared_app):
    np = pytest.importorskip("numpy")

    @shared_app.task
    def scale(array):
        array *= 2
        return array

    array = np.arange(1_310_720, dtype="f8")
    result = get(scale.delay(array))
    assert np.array_equal(result, array * 2)
    result[0] = -1
    assert array[1] == 1
    results = get(scale.map([array[:100_000], array[:5], array]))
    assert [len(value) for value in results] == [100_000, 5, 1_310_720]


def test_large_text_and_bytes(shared_app):
    for value in ("ü" * 300_000, b"\0" * 5_000_000, list(range(100_000))):
        assert get(shared_app.task(lambda x: x).delay(value)) == value


def test_large_results_of_one_map(shared_app):
    values = get(shared_app.task(lambda n: b"x" * n).map([70_000, 10, 200_000, 0]))
    assert [len(value) for value in values] == [70_000, 10, 200_000, 0]


def test_a_result_over_the_limit_fails_the_call_with_the_fix(shared_app):
    with nbtasks.App(namespace=shared_app.connection.namespace, result_limit=1_000_000) as small:
        handle = small.task(lambda n: b"x" * n).delay(2_000_000)
        with pytest.raises(PayloadTooLarge, match=r"over the limit of 1,000,000") as caught:
            get(handle)
        assert handle.id in str(caught.value)
        assert "return the path" in str(caught.value)
        assert "App(result_limit=...)" in str(caught.value)
        assert len(get(small.task(lambda n: b"x" * n).delay(500_000))) == 500_000


# --- tasks that call tasks


def test_a_task_submits_to_the_same_broker(shared_app, ledger):
    small = shared_app.task(note)

    @shared_app.task
    def parent(path):
        return small.delay(path, "child").id

    child = get(parent.delay(ledger.path))
    assert get(shared_app.AsyncResult(child)) == 0
    assert ledger.lines() == ["child"]


def test_a_task_maps_and_waits_for_it(shared_app):
    double = shared_app.task(lambda x: 2 * x)

    @shared_app.task
    def total(n):
        return sum(double.map(range(n)).get(timeout=20))

    assert get(total.delay(100)) == 9900


def test_a_task_passed_as_argument(shared_app):
    double = shared_app.task(lambda x: 2 * x)

    def use(other):
        return other(4), other.delay(5).get(timeout=20)

    assert get(shared_app.task(use).delay(double)) == (8, 10)


def test_a_task_knows_which_call_it_is(shared_app):
    @shared_app.task(name="who", queue="default")
    def who():
        call = nbtasks.current_call()
        return call.id, call.name, call.queue, call.attempt, call.index

    group = who.starmap([()] * 3)
    assert get(group) == [(f"{group.id}:{index}", "who", "default", 1, index) for index in range(3)]


def test_environment_of_a_call(shared_app):
    def look():
        return os.getpid(), sys.stdin.read()

    pid, text = get(shared_app.task(look).delay())
    assert pid != os.getpid()
    assert text == ""


def test_a_call_that_comes_after_a_rest_is_told_of_while_it_runs(shared_app, gate, eventually):
    """A child with nothing to do looks at nothing any more, until there is something."""
    rested = time.monotonic() + 1.5
    eventually(lambda: time.monotonic() > rested, "the worker has had nothing to do for a while")
    handle = shared_app.task(wait_at).delay(gate.path)
    eventually(lambda: handle.state == "STARTED", "it is said to have started")
    gate.open()
    handle.get(60)
