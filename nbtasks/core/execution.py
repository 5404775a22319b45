"""Run one call: a function and its arguments in, an outcome out.

No I/O; used by workers, ``apply()`` and ``--here``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .context import CurrentCall, progress, reset_current, set_current
from .errors import MaxRetriesExceededError, Retry, TaskRevokedError
from .options import TaskOptions
from .states import FAILURE_CODE, RETRY_CODE, REVOKED_CODE, SUCCESS_CODE


class Interrupted(BaseException):
    """Raised in a running task to stop it.

    Attributes:
        reason: the error that the call ends with.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(slots=True)
class Outcome:
    """How one attempt ended.

    Attributes:
        state: SUCCESS, FAILURE, REVOKED or RETRY, as a code.
        seconds: run time.
        error: what it raised, for FAILURE, REVOKED and RETRY.
        retry_in: seconds until the next attempt, for RETRY.
    """

    state: int
    value: Any = None
    seconds: float = 0.0
    error: BaseException | None = None
    retry_in: float = 0.0


class BoundTask:
    """What a task with ``bind=True`` gets as its first argument."""

    def __init__(self, request: CurrentCall, options: TaskOptions) -> None:
        self.request = request
        self.name = request.name
        self.max_retries = options.max_retries
        self.default_retry_delay = options.default_retry_delay

    def retry(
        self, exc: BaseException | None = None, countdown: float | None = None, max_retries: int | None = None
    ) -> Retry:
        """End this attempt and run the call again. Always raises, ``raise self.retry()`` only shows it to readers.

        Args:
            exc: raised instead when no retry is left.
            countdown: seconds until the next attempt; the task's own delay if None.

        Raises:
            MaxRetriesExceededError: no retry is left and ``exc`` is None.
        """
        most = self.max_retries if max_retries is None else max_retries
        if most is not None and self.request.retries >= most:
            if exc is not None:
                raise exc
            raise MaxRetriesExceededError(
                f"{self.name}: all {most} retries of call {self.request.id} are used up", self.request.id
            )
        raise Retry(f"retry {self.request.retries + 1}", countdown, exc, most)

    def update_state(self, state: str = "", meta: dict[str, Any] | None = None) -> None:
        """Show ``meta`` (``current``/``done``, ``total``, ``message``) as the call's progress."""
        meta = meta or {}
        done = meta.get("current", meta.get("done", 0))
        progress(float(done), meta.get("total"), str(meta.get("message", state)))


def execute(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: CurrentCall,
    options: TaskOptions,
) -> Outcome:
    """Run the call and say how it ended. Never raises what the task raises."""
    token = set_current(call)
    started = time.perf_counter()
    try:
        value = (
            function(BoundTask(call, options), *args, **kwargs) if options.bind else function(*args, **kwargs)
        )
        return Outcome(SUCCESS_CODE, value, time.perf_counter() - started)
    except BaseException as error:
        return outcome_of_error(error, call, options, time.perf_counter() - started)
    finally:
        reset_current(token)


async def execute_async(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: CurrentCall,
    options: TaskOptions,
) -> Outcome:
    """As :func:`execute`, for an ``async def`` task."""
    token = set_current(call)
    started = time.perf_counter()
    try:
        given = (BoundTask(call, options), *args) if options.bind else args
        value = await function(*given, **kwargs)
        return Outcome(SUCCESS_CODE, value, time.perf_counter() - started)
    except BaseException as error:
        return outcome_of_error(error, call, options, time.perf_counter() - started)
    finally:
        reset_current(token)


def outcome_of_error(
    error: BaseException, call: CurrentCall, options: TaskOptions, seconds: float
) -> Outcome:
    """Decide what an exception means: failure, retry or revocation."""
    if isinstance(error, Interrupted):
        state = REVOKED_CODE if isinstance(error.reason, TaskRevokedError) else FAILURE_CODE
        error.reason.__traceback__ = error.__traceback__
        return Outcome(state, None, seconds, error.reason)
    delay = retry_delay(error, call.retries, options)
    if delay is not None:
        return Outcome(RETRY_CODE, None, seconds, error, delay)
    return Outcome(FAILURE_CODE, None, seconds, error)


def retry_delay(error: BaseException, retries: int, options: TaskOptions) -> float | None:
    """Return the seconds until the next attempt, or None when the call has failed."""
    if isinstance(error, Retry):
        return options.retry_delay(retries) if error.countdown is None else max(0.0, float(error.countdown))
    if not isinstance(error, options.autoretry_for) or isinstance(error, options.dont_autoretry_for):
        return None
    if options.max_retries is not None and retries >= options.max_retries:
        return None
    return options.retry_delay(retries)
