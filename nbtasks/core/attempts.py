"""What an attempt of a call is, and whether and when the next one comes.

The attempt number of an entry counts tries, losses in millions, and suspicions in hundred millions. Tries are 1 for the
first and one more for each retry. A loss is a process that died while it executed the call; where it is not known that
it was this call of which it died, it is a suspicion. Neither uses up a retry.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

from .backoff import Backoff
from .context import CurrentCall
from .durations import is_span, seconds_from_now
from .errors import ConfigError, MaxRetriesExceededError, Retry
from .options import TaskOptions
from .readable import is_kind, name_of, repr_of, text_of

_LOSS = 1_000_000
_SUSPICION = 100_000_000

#: A call is given up when it was lost this often with the process that executed it.
MOST_LOSSES = 3
#: The same for processes of whose death it may have been the cause: a whole machine was lost, say.
MOST_SUSPICIONS = 10
#: Seconds that a next try may be away. What is longer is a mistake, and no queue keeps it.
_LONGEST_S = 10 * 366 * 86_400.0
#: Characters of an error that are told while its call waits for the next attempt.
_MOST_REASON = 500


def tries(attempt: int) -> int:
    """Return 1 for the first try, one more for each retry."""
    return attempt % _LOSS


def losses(attempt: int) -> int:
    """Return how often a process died while it executed the call."""
    return attempt % _SUSPICION // _LOSS


def suspicions(attempt: int) -> int:
    """Return how often a process died and the call may have been the cause."""
    return attempt // _SUSPICION


def deaths(attempt: int) -> int:
    """Return how many processes have died that had to do with the call."""
    return losses(attempt) + suspicions(attempt)


def number_of(attempt: int) -> int:
    """Return which try at a call it is, as people count: those that were cut off by a death, too."""
    return tries(attempt) + deaths(attempt)


def after_loss(attempt: int) -> int:
    """Return the attempt number after the death of a process that executed the call."""
    return attempt + _LOSS


def after_suspicion(attempt: int) -> int:
    """Return the attempt number after a death of which the call may have been the cause."""
    return attempt + _SUSPICION


def after_retry(attempt: int) -> int:
    """Return the attempt number of the next try; after the highest one it stays the same."""
    return attempt + (tries(attempt) < _LOSS - 1)


def delay_s(options: TaskOptions, retries: int) -> float:
    """Return the seconds to wait before the next attempt, after ``retries`` retries so far."""
    if options.retry_backoff is False:
        return options.default_retry_delay
    first = options.default_retry_delay if options.retry_backoff is True else float(options.retry_backoff)
    return Backoff(first, options.retry_backoff_max, jitter=options.retry_jitter).after(retries + 1)


def next_try(
    error: BaseException, call: CurrentCall, options: TaskOptions
) -> tuple[BaseException, float | None]:
    """Return what an attempt has ended with, and the seconds until the next one; None when the call has failed."""
    if is_kind(error, Retry):
        return _asked_for(error, call, options)
    if not is_kind(error, options.autoretry_for) or is_kind(error, options.dont_autoretry_for):
        return error, None
    if is_kind(error, MaxRetriesExceededError) and getattr(error, "call_id", "") == call.id:
        # The task itself has found that this is enough.
        return error, None
    if options.max_retries is not None and call.retries >= options.max_retries:
        return error, None
    return error, min(_LONGEST_S, delay_s(options, call.retries))


def _asked_for(error: Retry, call: CurrentCall, options: TaskOptions) -> tuple[BaseException, float | None]:
    # A class that is derived from Retry may not have called its __init__.
    try:
        most = most_retries(getattr(error, "max_retries", None), options.max_retries)
        if most is not None and call.retries >= most:
            return _cause_of(error) or used_up(most, call), None
        countdown = getattr(error, "countdown", None)
        delay = delay_s(options, call.retries) if countdown is None else _countdown_s(countdown)
    except ConfigError as problem:
        problem.__cause__, problem.__traceback__ = error, error.__traceback__
        return problem, None
    return error, min(_LONGEST_S, delay)


def most_retries(asked: Any, own: int | None) -> int | None:
    """Return how many retries a call may have: its own word counts more than the task's.

    Raises:
        ConfigError: it is no number.
    """
    if asked is None:
        return own
    try:
        return max(0, int(asked))
    except (TypeError, ValueError, OverflowError):
        if asked == math.inf:
            return None
        raise ConfigError(
            f"Retry: max_retries={repr_of(asked, 100)} is not a whole number of 0 or more; "
            "leave it out for the task's own"
        ) from None


def _countdown_s(countdown: Any) -> float:
    """Return a countdown in seconds; a moment in the past is now.

    Raises:
        ConfigError: it is no duration, or longer than anybody waits.
    """
    try:
        has_unit = isinstance(countdown, str) or is_span(countdown)
        delay = seconds_from_now(countdown, "countdown") if has_unit else float(countdown)
    except (TypeError, ValueError, OverflowError, ConfigError):
        delay = math.nan
    # Also false for nan.
    if not delay <= _LONGEST_S:
        raise ConfigError(
            f"Retry: countdown={repr_of(countdown, 100)} is not a time after which the call can be tried again; "
            "give seconds (90), a text like 5m, or a timedelta, ten years at most"
        )
    return max(0.0, delay)


def _cause_of(error: Retry) -> BaseException | None:
    """Return what made the task retry: what it names, or what ``raise Retry() from error`` names."""
    for cause in (getattr(error, "cause", None), error.__cause__):
        if isinstance(cause, BaseException):
            return cause
    return None


def why_again(error: BaseException) -> str:
    """Return in one line why an attempt is followed by another: what it raised, or what made it ask for that."""
    reason = error
    with contextlib.suppress(Exception):
        reason = (_cause_of(error) if is_kind(error, Retry) else None) or error
    return f"{name_of(reason)}: {text_of(reason, _MOST_REASON)}"


def used_up(most: int, call: CurrentCall) -> MaxRetriesExceededError:
    """Return what a call ends with that asks for one retry more than it may have."""
    spent, are = (f"all {most} retries", "are") if most > 1 else ("the one retry", "is")
    used = f"{spent} of call {call.id} {are} used up" if most else f"call {call.id} has no retries"
    return MaxRetriesExceededError(f"{call.name}: {used} (max_retries={most})", call.id)
