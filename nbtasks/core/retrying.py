"""Whether a call that has raised is tried again, and when; ``self.retry()`` and ``raise Retry(...)`` alike."""

from __future__ import annotations

import math
import operator
import time
from datetime import timedelta
from typing import Any

from .context import CurrentCall, report_state
from .durations import is_span, seconds_from_now
from .errors import ConfigError, MaxRetriesExceededError, Retry
from .options import TaskOptions, countdown_until
from .readable import is_kind, repr_of

#: Seconds that a next try may be away. What is longer is a mistake, and no queue keeps it.
LONGEST_S = 10 * 366 * 86_400.0


class BoundTask:
    """What a task with ``bind=True`` gets as its first argument."""

    def __init__(self, request: CurrentCall, options: TaskOptions) -> None:
        self.request = request
        self.name = request.name
        self.max_retries = options.max_retries
        self.default_retry_delay = options.default_retry_delay

    def retry(
        self,
        exc: BaseException | None = None,
        countdown: float | timedelta | str | None = None,
        max_retries: int | None = None,
        *,
        eta: Any = None,
        args: Any = None,
        kwargs: Any = None,
        throw: bool = True,
        **options: Any,
    ) -> Retry:
        """End this attempt and run the call again. Always raises, ``raise self.retry()`` only shows it to readers.

        Args:
            exc: raised instead when no retry is left.
            countdown: seconds until the next attempt; the task's own delay if None.
            max_retries: counts for this call instead of the task's own.
            eta: the moment of the next attempt, instead of ``countdown``.
            args: as in Celery, but only the call's own: it is tried again as it was submitted.
            kwargs: likewise.
            throw: True; it cannot be kept from raising.
            options: none can be changed for the next attempt.

        Raises:
            ConfigError: the next attempt cannot be as it is asked for here.
            MaxRetriesExceededError: no retry is left and ``exc`` is None.
        """
        self._check_unchanged(args, kwargs, options)
        if not throw:
            raise ConfigError(
                "self.retry(throw=False): it ends the attempt, so it always raises; leave throw out"
            )
        if eta is not None:
            countdown = countdown_until(countdown, eta, time.time())
        if self.request.called_directly and exc is not None:
            raise exc
        most = _most(max_retries, self.max_retries)
        if most is not None and self.request.retries >= most:
            raise exc if exc is not None else _used_up(most, self.request)
        raise Retry(f"retry {self.request.retries + 1}", countdown, exc, max_retries)  # type: ignore[arg-type]

    def _check_unchanged(self, args: Any, kwargs: Any, options: dict[str, Any]) -> None:
        own_args, own = self.request.args, self.request.kwargs
        asked = sorted(options)
        if kwargs and not (kwargs.keys() == own.keys() and all(kwargs[name] is own[name] for name in own)):
            asked.insert(0, "kwargs")
        if args and not (len(args) == len(own_args) and all(map(operator.is_, args, own_args))):
            asked.insert(0, "args")
        if asked:
            raise ConfigError(
                f"self.retry({', '.join(f'{name}=...' for name in asked)}): a call is tried again as it was submitted; "
                "for other arguments or options submit a new call: task.apply_async(args, kwargs, ...)"
            )

    def update_state(self, state: Any = "", meta: Any = None, task_id: str | None = None) -> None:
        """Show ``meta`` as the call's progress. It never fails the call.

        Args:
            meta: ``current`` (or ``done``), ``total``, ``message``; other fields are shown as text.
            state: shown where there is nothing else to show.
            task_id: of another call: as in Celery a task may name one; only its own progress is shown.
        """
        if task_id is None or task_id == self.request.id:
            report_state(self.request, state, meta)


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
    return error, min(LONGEST_S, options.retry_delay(call.retries))


def _asked_for(error: Retry, call: CurrentCall, options: TaskOptions) -> tuple[BaseException, float | None]:
    # A class that is derived from Retry may not have called its __init__.
    try:
        most = _most(getattr(error, "max_retries", None), options.max_retries)
        if most is not None and call.retries >= most:
            return _cause_of(error) or _used_up(most, call), None
        countdown = getattr(error, "countdown", None)
        delay = options.retry_delay(call.retries) if countdown is None else _delay(countdown)
    except ConfigError as problem:
        problem.__cause__, problem.__traceback__ = error, error.__traceback__
        return problem, None
    return error, min(LONGEST_S, delay)


def _most(asked: Any, own: int | None) -> int | None:
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


def _delay(countdown: Any) -> float:
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
    if not delay <= LONGEST_S:
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


def _used_up(most: int, call: CurrentCall) -> MaxRetriesExceededError:
    spent, are = (f"all {most} retries", "are") if most > 1 else ("the one retry", "is")
    used = f"{spent} of call {call.id} {are} used up" if most else f"call {call.id} has no retries"
    return MaxRetriesExceededError(f"{call.name}: {used} (max_retries={most})", call.id)
