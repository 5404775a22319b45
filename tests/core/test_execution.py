"""One call as a pure function: a function and arguments in, an outcome out."""

from __future__ import annotations

import asyncio

import pytest

import nbtasks
from nbtasks.core.context import CurrentCall
from nbtasks.core.execution import execute, execute_async
from nbtasks.core.options import TaskOptions
from nbtasks.core.states import FAILURE_CODE, RETRY_CODE, SUCCESS_CODE


def run(function, *args, attempt=1, **options):
    """Execute one attempt."""
    call = CurrentCall(id="x", name="job", attempt=attempt)
    return execute(function, args, {}, call, TaskOptions.make({"retry_jitter": False, **options}))


def fail(error):
    raise error


def test_a_value():
    outcome = run(lambda x: x + 1, 1)
    assert (outcome.state, outcome.value, outcome.error) == (SUCCESS_CODE, 2, None)


def test_an_exception_is_an_outcome():
    outcome = run(fail, ValueError("no"))
    assert outcome.state == FAILURE_CODE
    assert isinstance(outcome.error, ValueError)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_a_process_only_ends_the_call(error):
    assert run(fail, error).error is error


def test_autoretry_asks_for_another_attempt_until_none_is_left():
    assert run(fail, OSError(), retries=2, default_retry_delay=3).retry_in == 3
    assert run(fail, OSError(), retries=2, attempt=2, default_retry_delay=3).retry_in == 6
    assert run(fail, OSError(), retries=2, attempt=3).state == FAILURE_CODE


def test_only_the_chosen_exceptions_are_retried():
    options = {"autoretry_for": OSError, "dont_autoretry_for": FileNotFoundError}
    assert run(fail, ConnectionError(), **options).state == RETRY_CODE
    assert run(fail, FileNotFoundError(), **options).state == FAILURE_CODE
    assert run(fail, ValueError(), **options).state == FAILURE_CODE


def test_retries_without_limit():
    assert run(fail, OSError(), autoretry_for=OSError, max_retries=None, attempt=500).state == RETRY_CODE


def again(self, **how):
    """A bound task that always wants another attempt."""
    raise self.retry(**how)


def test_self_retry_takes_its_own_countdown():
    outcome = run(lambda self: again(self, countdown=7), bind=True)
    assert (outcome.state, outcome.retry_in) == (RETRY_CODE, 7)


def test_self_retry_raises_its_cause_when_no_retry_is_left():
    cause = KeyError("k")
    assert run(lambda self: again(self, exc=cause), bind=True, max_retries=1, attempt=2).error is cause


def test_self_retry_without_cause_says_that_the_retries_are_used_up():
    outcome = run(again, bind=True, max_retries=2, attempt=3)
    assert isinstance(outcome.error, nbtasks.MaxRetriesExceededError)
    assert "all 2 retries" in str(outcome.error)


def test_the_running_call_is_known_inside_and_forgotten_outside():
    seen = run(nbtasks.current_call).value
    assert (seen.name, seen.attempt, seen.retries) == ("job", 1, 0)
    assert nbtasks.current_call() is None


def test_async_functions_are_awaited():
    async def work(x):
        await asyncio.sleep(0)
        return x, nbtasks.current_call().id

    outcome = asyncio.run(execute_async(work, (1,), {}, CurrentCall(id="x"), TaskOptions()))
    assert outcome.value == (1, "x")


def test_outside_a_worker_progress_and_track_do_nothing():
    nbtasks.progress(1, 2, "halfway")
    assert list(nbtasks.track([1, 2, 3])) == [1, 2, 3]
    assert list(nbtasks.track(iter("ab"), total=2)) == ["a", "b"]


def test_progress_reaches_the_call():
    told = []
    call = CurrentCall(
        id="x", report=lambda call, done, total, message, _: told.append((done, total, message))
    )
    execute(lambda: list(nbtasks.track("ab", message="files")), (), {}, call, TaskOptions())
    assert told == [(0.0, 2.0, "files"), (1.0, 2.0, "files"), (2.0, 2.0, "files")]
