"""Numbers of seconds that make no sense are refused where they are given; those that are past count as now."""

from __future__ import annotations

import math
import os
import time
from datetime import datetime, timedelta, timezone

import pytest

from nbtasks import App, ConfigError, PayloadTooLarge, TaskRevokedError, TimeoutError
from nbtasks.core import callheader

HUGE = 10**400
NONSENSE = [math.inf, -math.inf, math.nan, 1e18, 1e308, HUGE, True, "soon", [5], timedelta.max]
PAST = datetime.fromisoformat("1971-01-01T00:00:00")
SOON = 60.0


def short(value):
    return repr(value)[:20]


@pytest.mark.parametrize("value", NONSENSE, ids=short)
def test_for_one_call(shared_app, value):
    task = shared_app.task(abs)
    for name in ("countdown", "expires", "time_limit", "soft_time_limit"):
        with pytest.raises(ConfigError, match=name):
            task.apply_async((1,), **{name: value})
        with pytest.raises(ConfigError, match=name):
            task.map([1], **{name: value})
    with pytest.raises(ConfigError, match="eta"):
        task.apply_async((1,), eta=value)


@pytest.mark.parametrize("value", NONSENSE, ids=short)
def test_for_a_task_and_an_app(shared_app, value):
    for name in ("default_retry_delay", "retry_backoff_max", "time_limit", "soft_time_limit", "expires"):
        with pytest.raises(ConfigError, match=name):
            shared_app.task(abs, **{name: value})
    with pytest.raises(ConfigError, match="result_expires"):
        App(result_expires=value)
    with pytest.raises(ConfigError, match="lease"):
        shared_app.start_workers(1, lease=value)


def test_a_lease_and_a_time_for_results_have_limits(shared_app):
    with pytest.raises(ConfigError, match=r"lease: .* is more than 1 days"):
        shared_app.start_workers(1, lease="2d")
    with pytest.raises(ConfigError, match=r"result_expires: .* is more than a hundred years"):
        App(result_expires="40000d")


@pytest.mark.parametrize("value", [math.nan, True, "soon", [5]], ids=repr)
def test_for_whoever_waits(shared_app, value):
    task = shared_app.task(abs)
    call, group = task.delay(-1), task.map([-1])
    for wait in (call.get, call.until_ready, group.get, group.until_ready):
        with pytest.raises(ConfigError, match="timeout"):
            wait(timeout=value)
    with pytest.raises(ConfigError, match="timeout"):
        list(group.as_completed(timeout=value))
    with pytest.raises(ConfigError, match="timeout"):
        shared_app.start_workers(2, timeout=value)


@pytest.mark.parametrize("value", [math.inf, 1e18, HUGE, timedelta.max, "30s", None], ids=short)
def test_who_waits_may_have_any_patience(shared_app, value):
    task = shared_app.task(abs)
    assert task.delay(-1).get(timeout=value) == 1
    assert task.map([-1]).get(timeout=value) == [1]
    assert [one.get() for one in task.map([-1]).as_completed(timeout=value)] == [1]


def test_whoever_waits_for_what_comes_in_years_is_told_when(shared_app):
    call = shared_app.task(abs).apply_async((1,), countdown="36000d")
    for timeout in (0, -1, timedelta(milliseconds=10)):
        with pytest.raises(TimeoutError, match="scheduled for 21"):
            call.get(timeout=timeout)
    call.revoke()


@pytest.mark.parametrize("countdown", [-1e-9, -5, "-1", timedelta(-1), 0])
def test_what_was_due_before_runs_at_once(shared_app, countdown):
    assert shared_app.task(abs).apply_async((-1,), countdown=countdown).get(timeout=SOON) == 1


@pytest.mark.parametrize(
    "eta",
    [
        0,
        -1e18,
        PAST,
        "1999-01-01T00:00Z",
        datetime.now(timezone.utc) - timedelta(days=1),
    ],
    # All processes that share the tests have to call them the same.
    ids=["zero", "long ago", "PAST", "text", "yesterday"],
)
def test_an_eta_that_is_past(shared_app, eta):
    assert shared_app.task(abs).apply_async((-1,), eta=eta).get(timeout=SOON) == 1


@pytest.mark.parametrize("expires", [-0.001, PAST, "1999-01-01T00:00Z"], ids=repr)
def test_what_has_expired_before_it_is_sent_is_not_run(shared_app, expires):
    with pytest.raises(TaskRevokedError, match="expired"):
        shared_app.task(abs).apply_async((-1,), expires=expires).get(timeout=SOON)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_timestamp_without_a_zone_is_of_here(shared_app, monkeypatch, zone):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        task, minute = shared_app.task(abs), timedelta(minutes=1)
        here = datetime.now()  # noqa: DTZ005 - what says no zone is asked for
        for now in (here, pandas.Timestamp(here)):
            assert task.apply_async((-1,), eta=now - minute, expires=now + minute).get(timeout=SOON) == 1
            later = task.apply_async((-1,), eta=now + minute)
            assert later.state == "PENDING"
            assert 0 < later.batch.origin.eta_at - time.time() <= 60
            later.revoke()
            with pytest.raises(TaskRevokedError, match="expired"):
                task.apply_async((-1,), expires=now - minute).get(timeout=SOON)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_for_what_a_function_captures(shared_app, monkeypatch):
    monkeypatch.setattr(callheader, "FUNCTION_LIMIT_BYTES", 100_000)
    captured = os.urandom(200_000)

    @shared_app.task
    def large(place):
        return captured[place]

    with pytest.raises(
        PayloadTooLarge, match=r"large takes [0-9,]+ bytes .* limit of 100,000 .* as arguments"
    ):
        large.delay(1)
    assert shared_app.task(abs).delay(-1).get(timeout=60) == 1
