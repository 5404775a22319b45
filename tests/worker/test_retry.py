"""Retries that a task asks for: how many, when, and what counts in the end; here and in every kind of worker."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from nbtasks import App, ConfigError, MaxRetriesExceededError, NotPicklable, Retry

SOON = 60.0
POOLS = ["prefork", pytest.param("threads", marks=pytest.mark.long), "coroutines", "here"]


class Later(Retry):
    """A kind of Retry of the user's."""


def as_task(app, pool, function, **options):
    """Return ``function(self)`` as a bound task for a pool."""
    if pool != "coroutines":
        return app.task(function, bind=True, default_retry_delay=0.01, **options)

    async def later(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    return app.task(later, bind=True, default_retry_delay=0.01, **options)


@pytest.fixture(scope="module", params=POOLS)
def end(request, run_folder):
    """``end(function, **options)`` runs a bound task to its end: its outcome and the number of retries."""
    pool = request.param
    with App(pool, namespace=f"t-retry-{pool}") as app:
        if pool != "here":
            app.start_workers(1, loglevel="info", **({"pool": "threads"} if pool == "threads" else {}))

        def run(function, **options):
            task = as_task(app, pool, function, **options)
            result = task.apply() if pool == "here" else task.delay()
            return result.get(timeout=SOON, propagate=False)

        yield run


def test_raise_retry_has_as_many_tries_as_the_task(end, ledger):
    path = ledger.path

    def again(self):
        with Path(path).open("a") as file:
            file.write(f"{self.request.retries}\n")
        raise Retry("not yet")

    error = end(again, max_retries=2)
    assert isinstance(error, MaxRetriesExceededError)
    assert "all 2 retries" in str(error)
    assert ledger.lines() == ["0", "1", "2"]


@pytest.mark.parametrize("most", [0, 1])
def test_raise_retry_with_a_number_of_its_own(end, ledger, most):
    path = ledger.path

    def again(self):
        with Path(path).open("a") as file:
            file.write("try\n")
        raise Retry("not yet", 0, max_retries=most)

    assert isinstance(end(again, max_retries=None), MaxRetriesExceededError)
    assert len(ledger.lines()) == most + 1


def test_what_made_it_retry_counts_in_the_end(end):
    def named(self):
        raise Retry("not yet", 0, cause=OSError("the disk"))

    def linked(self):
        raise Later("not yet", 0) from OSError("the disk")

    def asked(self):
        raise self.retry(exc=OSError("the disk"), countdown=0)

    for function in (named, linked, asked):
        error = end(function, max_retries=1)
        assert (type(error), str(error)) == (OSError, "the disk")


def test_a_task_without_a_limit_goes_on(end):
    def patient(self):
        if self.request.retries < 6:
            raise Retry("not yet", 0)
        return self.request.retries

    assert end(patient, max_retries=None) == 6


def test_self_retry_may_allow_more_or_less_than_the_task(end):
    def more(self):
        if self.request.retries < 4:
            self.retry(countdown=0, max_retries=4)
        return self.request.retries

    def less(self):
        self.retry(countdown=0, max_retries=1)

    assert end(more, max_retries=1) == 4
    error = end(less, retries=3)
    assert isinstance(error, MaxRetriesExceededError)
    assert "the one retry" in str(error)


@pytest.mark.parametrize("countdown", [0, 0.01, "10ms", timedelta(milliseconds=10), -1, timedelta(-1)])
def test_a_countdown_may_be_written_as_elsewhere(end, countdown):
    def again(self):
        if not self.request.retries:
            raise Retry("not yet", countdown)
        return "done"

    assert end(again, max_retries=1) == "done"


@pytest.mark.parametrize("ahead", [0.05, -60])
def test_self_retry_at_a_moment(end, ahead):
    def again(self, *args):
        if not self.request.retries:
            self.retry(
                args=self.request.args, kwargs={}, eta=datetime.now(timezone.utc) + timedelta(seconds=ahead)
            )
        return "done"

    assert end(again, max_retries=1) == "done"


@pytest.mark.parametrize(
    "how",
    [
        {"args": 1},
        {"kwargs": [1]},
        {"queue": "a b"},
        {"priority": 11},
        {"eta": "soon"},
        {"serializer": "json"},
        {"link": None, "label": "x"},
    ],
    ids=str,
)
def test_self_retry_says_what_the_next_attempt_cannot_have(end, how):
    def again(self):
        self.retry(**how)

    error = end(again, max_retries=1)
    assert isinstance(error, ConfigError)
    assert [*how][-1] in str(error)


def test_the_next_attempt_can_have_other_arguments(end):
    def again(self, number=0, *, word="a"):
        if self.request.retries < 2:
            self.retry((number + 1,), {"word": word * 2}, countdown=0)
        return number, word, self.request.args

    assert end(again, max_retries=2) == (2, "aaaa", (2,))


def test_arguments_of_the_next_attempt_that_cannot_travel_fail_the_call(end):
    def again(self, *args):
        self.retry(args=(threading.Lock(),), countdown=0)

    error = end(again, max_retries=2)
    assert isinstance(error, (NotPicklable, TypeError))


def test_what_comes_back_with_throw_false_counts_when_the_task_has_ended(end):
    def again(self):
        if not self.request.retries:
            assert isinstance(self.retry(countdown=0, throw=False), Retry)
        return self.request.retries

    assert end(again, max_retries=1) == 1


def test_retry_takes_celerys_words(end):
    def again(self):
        if not self.request.retries:
            raise Retry("not yet", exc=OSError("slow"), when=0)
        if self.request.retries == 1:
            self.retry(ValueError("again"), countdown=0)
        if self.request.retries == 2:
            raise Retry("not yet", OSError("slow"), 0)
        return self.request.retries

    assert end(again, max_retries=3) == 3


def test_autoretry_and_retry_share_one_count(end, ledger):
    path = ledger.path

    def mixed(self):
        with Path(path).open("a") as file:
            file.write("try\n")
        if self.request.retries % 2:
            raise Retry("not yet", 0)
        raise OSError("now and then")

    error = end(mixed, retries=2)
    assert isinstance(error, OSError)
    assert len(ledger.lines()) == 3


def test_expected_errors_are_logged_without_a_traceback(run_folder, eventually):
    with App("throws", namespace="t-throws") as app:
        app.start_workers(1, loglevel="info")

        @app.task(throws=(KeyError, OSError))
        def expected(kind):
            raise {"key": KeyError, "io": FileNotFoundError, "value": ValueError}[kind](f"the {kind}")

        for kind, kept in (("key", KeyError), ("io", FileNotFoundError), ("value", ValueError)):
            result = expected.delay(kind)
            assert type(result.get(timeout=SOON, propagate=False)) is kept
            assert "Traceback" in result.traceback
        log = eventually(lambda: _log_with(app, "the value"), "the last one is logged")
    wanted = {"the key": ("INFO", "raised expected"), "the io": ("INFO", "raised expected")}
    for text, (level, how) in wanted.items():
        lines = [line for line in log.splitlines() if text in line]
        assert len(lines) == 1
        assert level in lines[0]
        assert how in lines[0]
    assert log.count("Traceback") == 1
    assert log.index("raised unexpected") < log.index("Traceback")


def _log_with(app, text):
    log = app.local_workers.log_tail(200)
    return log if f"ValueError: {text}" in log else ""
