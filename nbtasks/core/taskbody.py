"""What a call runs where its task is an instance of a class of the user's: ``run()``, with the task's hooks around."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

from .callsignals import ErrorInfo
from .context import CurrentCall
from .errors import Retry, SoftTimeLimitExceeded
from .interruption import Interrupted
from .readable import is_kind
from .replacement import Replaced
from .states import FAILURE_CODE, NAMES, RETRY_CODE, REVOKED_CODE


class TaskBody:
    """Runs a task of a class. It travels as that class, with what was set on the instance."""

    def __init__(self, task: Any, named_after: Any) -> None:
        self.task = task
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            value = getattr(named_after, name, None)
            if value is not None:
                setattr(self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here, by its own ``__call__`` where its class has one."""
        return self.task(*args, **kwargs)

    def __reduce__(self) -> Any:
        return body_of, self.task.parts()

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """What the user has written: its signature is that of calls."""
        found: Callable[..., Any] = self.task.written
        return found


def body_of(kind: Any, *parts: Any) -> TaskBody:
    """Return a body that has travelled; named in pickles, so it keeps its name and place."""
    # Not by calling the class: it may take arguments, and has been through that where it was made.
    task = object.__new__(kind)
    body: TaskBody = task.rebuild(*parts)
    return body


def begin(body: TaskBody, call: CurrentCall) -> Any:
    """Call the hook that comes before a task runs; what it raises is the call's error."""
    return body.task.before_start(call.id, call.args, call.kwargs)


def after(
    body: TaskBody, call: CurrentCall, state: int, value: Any, error: BaseException | None
) -> list[Callable[[], Any]]:
    """Return the hooks to be called after a task has run, in their order.

    Args:
        state: how the attempt has ended, as a code.
        error: what it has ended with, where that is no value.
    """
    task, about = body.task, (call.id, call.args, call.kwargs)
    if error is None:
        return [
            lambda: task.on_success(value, *about),
            lambda: task.after_return(NAMES[state], value, *about, None),
        ]
    if state == REVOKED_CODE or is_kind(error, Replaced):
        return []
    info = ErrorInfo(error)
    if state == RETRY_CODE:
        cause = getattr(error, "cause", None) if is_kind(error, Retry) else error
        return [lambda: task.on_retry(cause or error, *about, info)]

    def ended() -> Any:
        return task.after_return(NAMES[state], error, *about, info)

    return [lambda: task.on_failure(error, *about, info), ended] if state == FAILURE_CODE else [ended]


def call_hook(hook: Callable[[], Any]) -> Any:
    """Call a hook. What it raises is shown where the call prints, and changes nothing of how that has ended.

    Raises:
        Interrupted, SoftTimeLimitExceeded: it was stopped.
    """
    try:
        return hook()
    except (Interrupted, SoftTimeLimitExceeded):
        raise
    except BaseException as error:
        tell_failed_hook(error)
        return None


def tell_failed_hook(error: BaseException) -> None:
    """Show what a hook has raised."""
    shown = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    sys.stderr.write(f"a hook of the task has failed:\n{shown}")
