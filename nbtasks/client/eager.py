"""Run a call here, by the way a worker does it: pickled, unpickled, run, packed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from typing import Any

from nbtasks.core import states as st
from nbtasks.core.context import CurrentCall
from nbtasks.core.execution import Outcome, execute, execute_async, outcome_of_error
from nbtasks.core.ids import new_id
from nbtasks.core.options import TaskOptions
from nbtasks.wire import pickling
from nbtasks.wire.errors import failures
from nbtasks.wire.kinds import classes, generators
from nbtasks.wire.kinds.opening import Opening, opened_in

from .definition import Definition
from .result import EagerResult


def apply_here(task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EagerResult:
    """Run a call with its retries, without waiting between them.

    Each attempt has its own copy of what the task captures, as on a worker: nothing here is changed by it.
    """
    task.check(args, kwargs)
    function, options = pickling.dump_function(task.function), pickling.dump_function(task.options)
    with generators.given():
        sent = b"".join(pickling.dumps((args, kwargs)))
    call = CurrentCall(id=new_id(), name=task.name, is_eager=True)
    while True:
        opening = Opening()
        with opened_in(opening), generators.seeded_here(task.options.seed):
            function_here, options_here = pickling.loads(function), pickling.loads(options)
            args_here, kwargs_here = pickling.loads(sent)
            opening.is_reading = False
            outcome = _run(function_here, args_here, kwargs_here, options_here, call)
        if outcome.state != st.RETRY_CODE:
            return _packed(task, call, outcome)
        call.attempt += 1


def _run(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions, call: CurrentCall
) -> Outcome:
    if not inspect.iscoroutinefunction(function):
        return execute(function, args, kwargs, call, options)
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


def _packed(task: Definition, call: CurrentCall, outcome: Outcome) -> EagerResult:
    state = st.NAMES[outcome.state]
    if outcome.error is not None:
        packed = failures.unpack(failures.pack(outcome.error))
        error = _as_known_here(outcome.error, packed, call.id)
        return EagerResult(call.id, task.name, state, lambda: error, packed.text, outcome.seconds)
    data = b"".join(pickling.dumps(outcome.value))
    # What cannot be read is an error now, not when somebody asks for it.
    pickling.loads(data)
    return EagerResult(call.id, task.name, state, lambda: pickling.loads(data), None, outcome.seconds)


def _as_known_here(error: BaseException, packed: failures.FailureData, call_id: str) -> BaseException:
    """Return an exception of the class that this process has, where the task had a copy of that."""
    if packed.pickled is None or not classes.are_in(packed.pickled):
        return error
    known = failures.rebuild(packed, call_id)
    with contextlib.suppress(Exception):
        # Frames that a debugger can look into.
        known.__traceback__ = error.__traceback__
    return known
