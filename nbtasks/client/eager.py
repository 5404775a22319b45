"""Run a call here, by the way a worker does it: pickled, unpickled, run, packed."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

from nbtasks.core import states as st
from nbtasks.core.context import CurrentCall
from nbtasks.core.execution import Outcome, execute, execute_async, outcome_of_error
from nbtasks.core.ids import new_id
from nbtasks.wire import failures, pickling

from .definition import Definition
from .result import EagerResult


def apply_here(task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EagerResult:
    """Run a call with its retries, without waiting between them."""
    task.check(args, kwargs)
    function = pickling.loads(pickling.dump_function(task.function))
    sent = b"".join(pickling.dumps((args, kwargs)))
    call = CurrentCall(id=new_id(), name=task.name, is_eager=True)
    while True:
        args_here, kwargs_here = pickling.loads(sent)
        outcome = _run(function, args_here, kwargs_here, call, task)
        if outcome.state != st.RETRY_CODE:
            return _packed(task, call, outcome)
        call.attempt += 1


def _run(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], call: CurrentCall, task: Definition
) -> Outcome:
    if not inspect.iscoroutinefunction(function):
        return execute(function, args, kwargs, call, task.options)
    outcomes: list[Outcome] = []

    def run() -> None:
        try:
            outcomes.append(asyncio.run(execute_async(function, args, kwargs, call, task.options)))
        except BaseException as error:
            # A subtask that ends its program ends the loop.
            outcomes.append(outcome_of_error(error, call, task.options, 0.0))

    # A thread of its own, because this thread may have a running event loop, as notebooks do.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcomes[0]


def _packed(task: Definition, call: CurrentCall, outcome: Outcome) -> EagerResult:
    state = st.NAMES[outcome.state]
    if outcome.error is not None:
        packed = failures.unpack(failures.pack(outcome.error))
        return EagerResult(call.id, task.name, state, outcome.error, packed.text, outcome.seconds)
    value = pickling.loads(b"".join(pickling.dumps(outcome.value)))
    return EagerResult(call.id, task.name, state, value, None, outcome.seconds)
