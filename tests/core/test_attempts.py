"""The attempt number of an entry."""

from __future__ import annotations

from nbtasks.core import attempts
from nbtasks.core.errors import Retry


def test_tries_and_losses_are_counted_apart():
    attempt = attempts.after_retry(attempts.after_loss(attempts.after_retry(1)))
    assert (attempts.tries(attempt), attempts.losses(attempt)) == (3, 1)


def test_a_million_retries_are_no_loss():
    attempt = attempts.after_loss(999_998)
    for _ in range(3):
        attempt = attempts.after_retry(attempt)
    assert (attempts.tries(attempt), attempts.losses(attempt)) == (999_999, 1)


def test_an_attempt_that_is_followed_by_another_says_what_it_raised_or_what_made_it_ask():
    assert attempts.why_again(Retry(cause=ValueError("busy"))) == "ValueError: busy"
    assert attempts.why_again(Retry("later")) == "Retry: later"
    error = OSError("no answer")
    error.__cause__ = KeyError("socket")
    assert attempts.why_again(error) == "OSError: no answer"
