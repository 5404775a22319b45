"""The attempt number of an entry."""

from __future__ import annotations

from nbtasks.core import attempts


def test_tries_and_losses_are_counted_apart():
    attempt = attempts.after_retry(attempts.after_loss(attempts.after_retry(1)))
    assert (attempts.tries(attempt), attempts.losses(attempt)) == (3, 1)


def test_a_million_retries_are_no_loss():
    attempt = attempts.after_loss(999_998)
    for _ in range(3):
        attempt = attempts.after_retry(attempt)
    assert (attempts.tries(attempt), attempts.losses(attempt)) == (999_999, 1)
