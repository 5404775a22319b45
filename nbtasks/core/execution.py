"""Run one call: a function and its arguments in, an outcome out.

No I/O; used by workers, ``apply()`` and ``--here``.
"""

from __future__ import annotations

import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial

# By name: a task may put something else into the module.
from time import perf_counter
from typing import Any

from .around import makers as around
from .around import surrounded, surrounded_async
from .attempts import next_try
from .boundtask import BoundTask
from .callsignals import tell_begin
from .context import CurrentCall, reset_current, set_current
from .errors import Ignore, Reject, SoftTimeLimitExceeded, TaskError, TaskRevokedError
from .interruption import Interrupted
from .options import TaskOptions
from .outcome import Outcome
from .readable import is_kind, text_of
from .replacement import Replaced
from .signal import Signal
from .states import FAILURE, FAILURE_CODE, RETRY_CODE, REVOKED_CODE, SUCCESS, SUCCESS_CODE
from .taskbody import TaskBody, after, begin, call_hook, tell_failed_hook

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
    given = (BoundTask(call, options, function), *args) if options.bind else args
    token = set_current(call)
    started = perf_counter()
    try:
        context = contextvars.copy_context()
        try:
            if Signal.is_of_calls:
                call.context = context
                context.run(tell_begin, call, options)
                started = perf_counter()
            if type(function) is TaskBody:
                context.run(_awaited, context.run(begin, function, call))
            run = surrounded(function, call, options) if around else function
            value = context.run(run, *given, **kwargs)
            if type(value) not in _NEVER_AWAITED:
                value = context.run(_awaited, value)
            outcome = Outcome(SUCCESS_CODE, value, perf_counter() - started)
            if call.again is not None:
                outcome = outcome_of_error(call.again, call, options, outcome.seconds)
        except BaseException as error:
            outcome = outcome_of_error(error, call, options, perf_counter() - started)
        if type(function) is TaskBody:
            outcome = _hooks_called(function, call, options, outcome, context)
        return outcome
    finally:
        reset_current(token)


def _hooks_called(
    body: TaskBody, call: CurrentCall, options: TaskOptions, outcome: Outcome, context: contextvars.Context
) -> Outcome:
    """Call the hooks that come after a task, which only what stops their call can keep from ending as it has."""
    try:
        for hook in after(body, call, outcome.state, outcome.value, outcome.error):
            context.run(call_hook, partial(_hook_to_the_end, hook))
    except BaseException as error:
        return outcome_of_error(error, call, options, outcome.seconds)
    return outcome


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
    given = (BoundTask(call, options, function), *args) if options.bind else args
    token = set_current(call)
    started = perf_counter()
    try:
        try:
            if Signal.is_of_calls:
                tell_begin(call, options)
                started = perf_counter()
            if type(function) is TaskBody:
                await _to_the_end(begin(function, call))
            run = surrounded_async(function, call, options) if around else function
            value = await _to_the_end(run(*given, **kwargs))
            outcome = Outcome(SUCCESS_CODE, value, perf_counter() - started)
            if call.again is not None:
                outcome = outcome_of_error(call.again, call, options, outcome.seconds)
        except BaseException as error:
            outcome = outcome_of_error(error, call, options, perf_counter() - started)
        if type(function) is TaskBody:
            outcome = await _hooks_awaited(function, call, options, outcome)
        return outcome
    finally:
        reset_current(token)


def _hook_to_the_end(hook: Callable[[], Any]) -> Any:
    return _awaited(hook())


async def _hooks_awaited(
    body: TaskBody, call: CurrentCall, options: TaskOptions, outcome: Outcome
) -> Outcome:
    try:
        for hook in after(body, call, outcome.state, outcome.value, outcome.error):
            if (later := call_hook(hook)) is not None:
                await _hook_awaited(later)
    except BaseException as error:
        return outcome_of_error(error, call, options, outcome.seconds)
    return outcome


async def _hook_awaited(value: Any) -> None:
    try:
        await _to_the_end(value)
    except Exception as error:
        if is_kind(error, (Interrupted, SoftTimeLimitExceeded)):
            raise
        tell_failed_hook(error)


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
        if is_kind(error, Replaced):
            return error.outcome(seconds)
        if is_kind(error, (Ignore, Reject)):
            return _declined(error, call, options, seconds)
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


def _declined(error: BaseException, call: CurrentCall, options: TaskOptions, seconds: float) -> Outcome:
    """Return how a call ends whose task has raised Ignore or Reject."""
    if is_kind(error, Reject):
        if getattr(error, "requeue", False):
            return Outcome(RETRY_CODE, None, seconds, error, options.default_retry_delay)
        return _revoked(error, call, "rejected", seconds)
    state, meta = call.own_state or ("", None)
    if state == SUCCESS:
        return Outcome(SUCCESS_CODE, meta, seconds)
    if state == FAILURE:
        return Outcome(FAILURE_CODE, None, seconds, _told_as_error(meta, call))
    return _revoked(error, call, "ignored", seconds)


def _revoked(error: BaseException, call: CurrentCall, how: str, seconds: float) -> Outcome:
    said = text_of(error, 500) if error.args and error.args != (how,) else ""
    reason = TaskRevokedError(f"call {call.id} was {how} by its task{f': {said}' if said else ''}", call.id)
    return Outcome(REVOKED_CODE, None, seconds, reason)


def _told_as_error(meta: Any, call: CurrentCall) -> BaseException:
    """Return the exception that a task means that has given itself the state FAILURE."""
    if isinstance(meta, BaseException):
        return meta
    fields = meta if isinstance(meta, dict) else {}
    message = fields.get("exc_message", meta)
    if isinstance(message, (list, tuple)):
        message = ", ".join(text_of(part, 200) for part in message)
    return TaskError(text_of(message, 500), call.id, text_of(fields.get("exc_type", ""), 100))


def state_of(reason: BaseException) -> int:
    """Return the state of a call that was ended from outside."""
    return REVOKED_CODE if isinstance(reason, TaskRevokedError) else FAILURE_CODE
