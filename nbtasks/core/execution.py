"""Run one call: a function and its arguments in, an outcome out.

No I/O; used by workers, ``apply()`` and ``--here``.
"""

from __future__ import annotations

import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

# By name: a task may put something else into the module.
from time import perf_counter
from typing import Any

from .attempts import next_try
from .boundtask import BoundTask
from .callsignals import tell_begin
from .context import CurrentCall, reset_current, set_current
from .errors import SoftTimeLimitExceeded, TaskRevokedError
from .interruption import Interrupted
from .options import TaskOptions
from .outcome import Outcome
from .readable import is_kind
from .signal import Signal
from .states import FAILURE_CODE, RETRY_CODE, REVOKED_CODE, SUCCESS_CODE

#: What most calls give.
_NEVER_AWAITED = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple, set})


def execute(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: CurrentCall,
    options: TaskOptions,
) -> Outcome:
    """Run the call and say how it ended. Never raises what the task raises.

    What it sets in context variables (decimal's precision is one) is gone with it.
    """
    call.args, call.kwargs, call.function = args, kwargs, function
    given = (BoundTask(call, options), *args) if options.bind else args
    token = set_current(call)
    started = perf_counter()
    try:
        context = contextvars.copy_context()
        if Signal.is_of_calls:
            call.context = context
            context.run(tell_begin, call, options)
            started = perf_counter()
        value = context.run(function, *given, **kwargs)
        if type(value) not in _NEVER_AWAITED:
            value = context.run(_awaited, value)
        return Outcome(SUCCESS_CODE, value, perf_counter() - started)
    except BaseException as error:
        return outcome_of_error(error, call, options, perf_counter() - started)
    finally:
        reset_current(token)


def _awaited(value: Any) -> Any:
    """Return what a coroutine gives that a plain function has made, by a wrapper say; else the value itself."""
    if not _is_coroutine(value):
        return value
    import asyncio

    if asyncio._get_running_loop() is None:
        return asyncio.run(_to_the_end(value))
    # A notebook's thread has an event loop that runs.
    with ThreadPoolExecutor(1) as pool:
        context = contextvars.copy_context()
        return pool.submit(context.run, asyncio.run, _to_the_end(value)).result()


async def _to_the_end(value: Any) -> Any:
    while _is_coroutine(value):
        value = await value
    return value


def _is_coroutine(value: Any) -> bool:
    return issubclass(type(value), Coroutine)


async def execute_async(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: CurrentCall,
    options: TaskOptions,
) -> Outcome:
    """As :func:`execute`, for an ``async def`` task; its context is the one of the asyncio task that awaits this."""
    call.args, call.kwargs, call.function = args, kwargs, function
    given = (BoundTask(call, options), *args) if options.bind else args
    token = set_current(call)
    started = perf_counter()
    try:
        if Signal.is_of_calls:
            tell_begin(call, options)
            started = perf_counter()
        value = await _to_the_end(function(*given, **kwargs))
        return Outcome(SUCCESS_CODE, value, perf_counter() - started)
    except BaseException as error:
        return outcome_of_error(error, call, options, perf_counter() - started)
    finally:
        reset_current(token)


def run_once(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: CurrentCall,
    options: TaskOptions,
) -> Outcome:
    """Run one attempt of a call, in an event loop of its own where it needs one."""
    if not inspect.iscoroutinefunction(function):
        return execute(function, args, kwargs, call, options)
    import asyncio

    outcomes: list[Outcome] = []

    def run() -> None:
        try:
            outcomes.append(asyncio.run(execute_async(function, args, kwargs, call, options)))
        except BaseException as error:
            # A subtask that ends its program ends the loop.
            outcomes.append(outcome_of_error(error, call, options, 0.0))

    # A thread of its own, because this thread may have a running event loop, as notebooks do.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,))
    thread.start()
    thread.join()
    return outcomes[0]


def outcome_of_error(
    error: BaseException, call: CurrentCall, options: TaskOptions, seconds: float
) -> Outcome:
    """Decide what an exception means: failure, retry or revocation."""
    try:
        if is_kind(error, Interrupted):
            error.reason.__traceback__ = error.__traceback__
            return Outcome(state_of(error.reason), None, seconds, error.reason)
        reason, delay = next_try(error, call, options)
    except (Interrupted, SoftTimeLimitExceeded):
        # It came just now, from outside.
        raise
    except BaseException:
        # The exception is a user's, and so is whatever it does when it is looked at.
        return Outcome(FAILURE_CODE, None, seconds, error)
    if delay is not None:
        return Outcome(RETRY_CODE, None, seconds, reason, delay)
    return Outcome(FAILURE_CODE, None, seconds, reason)


def state_of(reason: BaseException) -> int:
    """Return the state of a call that was ended from outside."""
    return REVOKED_CODE if isinstance(reason, TaskRevokedError) else FAILURE_CODE
