"""Who is told of one call: before it runs, and when its outcome is settled. Where nobody asked, it is not looked at."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from . import signal
from .boundtask import BoundTask
from .context import CurrentCall
from .options import TaskOptions
from .outcome import Outcome
from .readable import is_kind
from .replacement import Replaced
from .states import FAILURE_CODE, IGNORED, NAMES, RETRY_CODE, REVOKED_CODE, SUCCESS_CODE


class ErrorInfo:
    """An exception as handlers written for Celery read it; as text it is its traceback.

    Attributes:
        type: its class.
    """

    def __init__(self, error: BaseException) -> None:
        self.exception = error
        self.type = type(error)

    @property
    def tb(self) -> TracebackType | None:
        """Its frames."""
        return self.exception.__traceback__

    @property
    def traceback(self) -> str:
        """Its frames as text, with what it says."""
        return "".join(traceback.format_exception(self.exception))

    def __str__(self) -> str:
        return self.traceback


def tell_begin(call: CurrentCall, options: TaskOptions) -> None:
    """Tell that a call is about to run, in its own context."""
    task = BoundTask(call, options)
    signal.task_received.send(task, request=call)
    signal.task_prerun.send(task, task_id=call.id, task=task, args=call.args, kwargs=call.kwargs)


def tell_end(
    call: CurrentCall,
    options: TaskOptions,
    outcome: Outcome,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Tell how an attempt has ended, in the context that it had; nothing that is raised changes that any more."""
    context, call.context = call.context, None
    if context is None:
        _tell_end(call, options, outcome, args, kwargs)
    else:
        context.run(_tell_end, call, options, outcome, args, kwargs)


def _tell_end(
    call: CurrentCall,
    options: TaskOptions,
    outcome: Outcome,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    task, error, state = BoundTask(call, options), outcome.error, outcome.state
    replaced = error is not None and is_kind(error, Replaced)
    if state == SUCCESS_CODE:
        signal.task_success.send(task, result=outcome.value, runtime=outcome.seconds)
    elif state == FAILURE_CODE and error is not None:
        signal.task_failure.send(
            task, task_id=call.id, exception=error, args=args, kwargs=kwargs,
            traceback=error.__traceback__, einfo=ErrorInfo(error),
        )  # fmt: skip
    elif state == RETRY_CODE and error is not None and not replaced:
        signal.task_retry.send(task, request=call, reason=error, einfo=ErrorInfo(error))
    elif state == REVOKED_CODE:
        signal.task_revoked.send(task, request=call, terminated=True, signum=15, expired=False)
    retval = outcome.value if state == SUCCESS_CODE else error
    signal.task_postrun.send(
        task, task_id=call.id, task=task, args=args, kwargs=kwargs, retval=retval,
        state=IGNORED if replaced else NAMES[state],
    )  # fmt: skip
