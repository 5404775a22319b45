"""Waits that grow."""

from __future__ import annotations

import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core.backoff import Backoff

some_seconds = st.floats(0.001, 1000)
some_failures = st.integers(1, 10**9)


def test_waits_double_up_to_the_most() -> None:
    backoff = Backoff(0.05, 1.0)
    assert [backoff.after(failures) for failures in range(7)] == [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0]


def test_what_has_not_failed_waits_for_nothing() -> None:
    assert Backoff(5.0).after(0) == Backoff(5.0).after(-2) == 0.0


@settings(max_examples=60, deadline=None)
@given(first=some_seconds, most=some_seconds, factor=st.floats(1, 10), failures=some_failures)
def test_no_wait_is_shorter_than_the_one_before_or_longer_than_the_most(
    first: float, most: float, factor: float, failures: int
) -> None:
    backoff = Backoff(first, most, factor)
    assert 0 < backoff.after(failures) <= backoff.after(failures + 1) <= most
    assert math.isfinite(Backoff(first, factor=factor).after(failures))


@settings(max_examples=60, deadline=None)
@given(first=some_seconds, failures=some_failures)
def test_jitter_cuts_a_wait_by_up_to_a_half(first: float, failures: int) -> None:
    whole = Backoff(first, 1e6).after(failures)
    assert whole / 2 <= Backoff(first, 1e6, jitter=True).after(failures) <= whole


def test_jitter_leaves_the_users_random_numbers_alone() -> None:
    random.seed(3)
    first = random.random()
    random.seed(3)
    Backoff(1.0, jitter=True).after(3)
    assert random.random() == first
