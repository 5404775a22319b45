"""Options of tasks and workers: checked when they are set, not when a worker meets them."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from nbtasks import ConfigError
from nbtasks.core.attempts import delay_s
from nbtasks.core.options import TaskOptions, check_priority, check_queue
from nbtasks.core.rates import seconds_between
from nbtasks.core.starttimes import countdown_until, expires_in
from nbtasks.core.workeroptions import WorkerOptions


def test_defaults():
    options = TaskOptions.make({})
    assert (options.queue, options.priority, options.autoretry_for) == ("default", 5, ())


def test_retries_is_short_for_retrying_on_every_exception():
    options = TaskOptions.make({"retries": 2})
    assert (options.max_retries, options.autoretry_for) == (2, (Exception,))


def test_retries_leaves_a_chosen_exception_alone():
    options = TaskOptions.make({"retries": 2, "autoretry_for": OSError})
    assert options.autoretry_for == (OSError,)
    assert TaskOptions.make({"retries": 5}, options).autoretry_for == (OSError,)


def test_zero_retries_turns_nothing_on():
    assert TaskOptions.make({"retries": 0}).autoretry_for == ()


def test_options_are_laid_over_a_base():
    base = TaskOptions.make({"queue": "io", "time_limit": "1m"})
    changed = TaskOptions.make({"priority": "high"}, base)
    assert (changed.queue, changed.time_limit, changed.priority) == ("io", 60.0, 8)
    assert base.priority == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_limt": 3}, "unknown task option 'time_limt'; did you mean 'time_limit'"),
        ({"zzz": 3}, "unknown task option 'zzz'; known are .*queue"),
        ({"time_limit": "soon"}, "time_limit: 'soon' is not a duration"),
        ({"priority": 10}, "priority: 10 is not one of low, normal, high or 0 to 9"),
        ({"queue": "a b"}, "queue: 'a b' is not a queue name"),
        ({"retries": -1}, "max_retries: -1 is not a whole number"),
        ({"max_retries": 1.5}, "max_retries: 1.5 is not a whole number"),
        ({"retries": True}, "max_retries: True is not a whole number"),
        ({"autoretry_for": ("OSError",)}, "autoretry_for: 'OSError' is not an exception class"),
        ({"rate_limit": "10/d"}, "rate_limit: '10/d' is not a rate; write 10/s, 100/m or 5/h"),
        ({"rate_limit": "fast"}, "rate_limit: 'fast' is not a rate"),
        ({"rate_limit": "10/"}, "rate_limit: '10/' is not a rate"),
        ({"rate_limit": -1}, "rate_limit: -1 is not a rate"),
        ({"rate_limit": "nan/s"}, "rate_limit: 'nan/s' is not a rate"),
        ({"rate_limit": "inf/s"}, "rate_limit: 'inf/s' is not a rate"),
        ({"rate_limit": True}, "rate_limit: True is not a rate"),
        ({"rate_limit": ("10", "s")}, "is not a rate"),
        ({"rate_limit": "1e-9/h"}, "rate_limit: '1e-9/h' is less than one call a year"),
        ({"throws": int}, "throws: <class 'int'> is not an exception class"),
    ],
)
def test_a_wrong_option_says_what_to_write(options, message):
    with pytest.raises(ConfigError, match=message):
        TaskOptions.make(options)


@pytest.mark.parametrize(
    ("written", "meant", "apart"),
    [
        ("10/s", "10/s", 0.1),
        (" 100 / M ", "100/m", 0.6),
        ("5/h", "5/h", 720.0),
        ("0.5/s", "0.5/s", 2.0),
        (10, "10/s", 0.1),
        (2.5, "2.5/s", 0.4),
        ("10", "10/s", 0.1),
        (1_234_567, "1234567/s", 1 / 1_234_567),
    ],
)
def test_rates(written, meant, apart):
    assert TaskOptions.make({"rate_limit": written}).rate_limit == meant
    assert seconds_between(meant) == pytest.approx(apart)


@pytest.mark.parametrize("none", [None, 0, 0.0, "0", "0/m"])
def test_no_rate_limit(none):
    limited = TaskOptions.make({"rate_limit": "10/s"})
    assert TaskOptions.make({"rate_limit": none}, limited).rate_limit is None


@pytest.mark.parametrize(
    ("written", "meant"), [("low", 2), ("normal", 5), ("high", 8), (0, 0), (9, 9), ("7", 7)]
)
def test_priorities(written, meant):
    assert check_priority(written) == meant


@pytest.mark.parametrize("wrong", [-1, 10, "urgent", True, 1.0, None])
def test_wrong_priorities(wrong):
    with pytest.raises(ConfigError):
        check_priority(wrong)


@pytest.mark.parametrize("name", ["default", "io", "gpu-0", "team.etl_1", "x" * 64])
def test_queue_names(name):
    assert check_queue(name) == name


@pytest.mark.parametrize("name", ["", "a:b", "a{b}", "a b", "a@b", "x" * 65, None, 3])
def test_wrong_queue_names(name):
    with pytest.raises(ConfigError):
        check_queue(name)


def test_backoff_doubles_up_to_its_limit():
    options = TaskOptions.make({"default_retry_delay": 1, "retry_jitter": False, "retry_backoff_max": 5})
    assert [delay_s(options, retries) for retries in range(5)] == [1, 2, 4, 5, 5]


def test_jitter_only_shortens_and_never_below_half():
    options = TaskOptions.make({"default_retry_delay": 8})
    assert all(4 <= delay_s(options, 0) <= 8 for _ in range(200))


def test_a_number_as_backoff_is_the_first_delay():
    options = TaskOptions.make({"retry_backoff": 3, "retry_jitter": False})
    assert [delay_s(options, retries) for retries in range(3)] == [3, 6, 12]


def test_without_backoff_the_delay_stays():
    options = TaskOptions.make({"retry_backoff": False, "default_retry_delay": "2s"})
    assert {delay_s(options, retries) for retries in range(5)} == {2.0}


def test_many_retries_do_not_overflow():
    assert delay_s(TaskOptions.make({"retry_jitter": False}), 100_000) == 600


def test_worker_options_survive_json():
    options = WorkerOptions(
        3, queues=("io", "default"), env={"A": "1"}, include=("json",), max_tasks_per_child=5
    )
    assert WorkerOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"concurrency": 0}, "concurrency: 0"),
        ({"concurrency": 1.5}, "concurrency: 1.5"),
        ({"concurrency": True}, "concurrency: True"),
        ({"concurrency": 2000}, "concurrency: 2000"),
        ({"concurrency": 1, "pool": "gevent"}, "pool: 'gevent' is not one of prefork, threads, solo"),
        ({"concurrency": 1, "threads": 0}, "threads: 0"),
        ({"concurrency": 1, "queues": ()}, "name at least one queue"),
        ({"concurrency": 1, "queues": ("a b",)}, "queue: 'a b'"),
        ({"concurrency": 1, "lease_s": 0.1}, "lease: 0.1"),
        ({"concurrency": 1, "lease_s": "soon"}, "lease: 'soon' is not a duration"),
        ({"concurrency": 1, "threads": "x"}, "threads: 'x' is not a whole number from 1 to 1024"),
        ({"concurrency": 1, "loglevel": "loud"}, "loglevel: 'loud' is not one of debug, info"),
        ({"concurrency": 1, "max_tasks_per_child": 0}, "max_tasks_per_child: 0 is not a whole number of 1"),
        ({"concurrency": 1, "max_memory_per_child": "1G"}, "max_memory_per_child: '1G'"),
    ],
)
def test_wrong_worker_options(settings, message):
    with pytest.raises(ConfigError, match=message):
        WorkerOptions(**settings)


def test_countdown_and_eta_give_seconds():
    now = 1_000_000.0
    moment = datetime.fromtimestamp(now, timezone.utc) + timedelta(seconds=30)
    assert countdown_until("1m", None, now) == 60
    assert countdown_until(None, moment, now) == 30
    assert countdown_until(None, now + 5, now) == 5
    assert countdown_until(None, now - 5, now) == 0
    assert countdown_until(None, None, now) == 0


def test_a_number_that_was_meant_as_a_moment_is_no_duration_of_decades():
    now = 1_780_000_000.0
    for written in (now + 60, int(now), Decimal(now) - 3600, str(now), now + 86_400 * 365):
        with pytest.raises(
            ConfigError, match=r"countdown: .* would be 5\d years from now.* say eta= instead"
        ):
            countdown_until(written, None, now)
        with pytest.raises(ConfigError, match=r"expires: .* would be 5\d years from now.* give a datetime"):
            expires_in(written, now)
    assert expires_in("20000d", now) == 20_000 * 86_400
    assert countdown_until(timedelta(days=20_000), None, now) == 20_000 * 86_400


def test_countdown_and_eta_together_are_refused():
    with pytest.raises(ConfigError, match="countdown or eta, not both"):
        countdown_until(1, 2, 0)


@pytest.mark.parametrize("eta", ["tomorrow", True, float("nan")])
def test_an_eta_that_is_no_time(eta):
    with pytest.raises(ConfigError, match=r"eta: .* is not a time; give a datetime"):
        countdown_until(None, eta, 0)


def test_a_backoff_that_is_none():
    with pytest.raises(ConfigError, match=r"retry_backoff .*: 'yes' is not a duration"):
        TaskOptions.make({"retry_backoff": "yes"})


@pytest.mark.parametrize("base", [{"time_limit": 5}, {"soft_time_limit": 60}])
def test_a_soft_limit_that_would_never_be_reached_is_refused(base):
    other = {"soft_time_limit": 60} if "time_limit" in base else {"time_limit": 5}
    with pytest.raises(ConfigError, match="soft_time_limit: 60 s is more than time_limit, 5 s"):
        TaskOptions.make({**base, **other})
    with pytest.raises(ConfigError, match="give a smaller one"):
        TaskOptions.make(other, TaskOptions.make(base))
    assert TaskOptions.make({"soft_time_limit": 5, "time_limit": 5}).time_limit == 5


@pytest.mark.parametrize("name", ["expires", "time_limit", "soft_time_limit", "default_retry_delay"])
def test_a_moment_is_no_duration_of_a_task(name):
    with pytest.raises(ConfigError, match=rf"{name}: .* would be \d\d years, .* is a duration in seconds"):
        TaskOptions.make({name: time.time() + 60})
