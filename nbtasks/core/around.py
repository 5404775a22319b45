"""Context managers around each call: for what traces calls, or reports what they raise, from within.

They run in the thread or coroutine of the call, and the exception of a task passes through all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from .boundtask import BoundTask
from .context import CurrentCall
from .errors import ConfigError
from .options import TaskOptions
from .readable import name_of

#: Given the task and its request.
MakeContext = Callable[[Any, CurrentCall], contextlib.AbstractContextManager[Any]]
M = TypeVar("M", bound=MakeContext)

#: The outermost first.
makers: list[MakeContext] = []


def around_call(make: M) -> M:
    """Have the context manager that ``make(task, request)`` returns be entered around each call of this process.

    One of the same name takes the place of an earlier one, as when a module or a cell is run again.

    Raises:
        ConfigError: it cannot be called.
    """
    if not callable(make):
        raise ConfigError(
            f"around_call: {name_of(make)} cannot be called; give it a @contextmanager function"
        )
    name = _name(make)
    makers[:] = [one for one in makers if _name(one) != name] + [make]
    return make


def _name(make: MakeContext) -> tuple[Any, Any]:
    return getattr(make, "__module__", None), getattr(make, "__qualname__", id(make))


def surrounded(function: Callable[..., Any], call: CurrentCall, options: TaskOptions) -> Callable[..., Any]:
    """Return what runs a function within them."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with _entered(call, options):
            return function(*args, **kwargs)

    return run


def surrounded_async(
    function: Callable[..., Any], call: CurrentCall, options: TaskOptions
) -> Callable[..., Any]:
    """Return the same for what returns something to await."""

    async def run(*args: Any, **kwargs: Any) -> Any:
        with _entered(call, options):
            return await function(*args, **kwargs)

    return run


@contextlib.contextmanager
def _entered(call: CurrentCall, options: TaskOptions) -> Any:
    task = BoundTask(call, options)
    with contextlib.ExitStack() as stack:
        for make in tuple(makers):
            stack.enter_context(make(task, call))
        yield
