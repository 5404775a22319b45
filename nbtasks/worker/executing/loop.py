"""The event loop that the calls of ``async def`` tasks share. What a call does in it is that call's own affair.

asyncio ends a loop when a program shall end: ``SystemExit`` and ``KeyboardInterrupt`` in a subtask or a callback stop
it. Here they end the call that they came from, and the loop goes on for the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any

from nbtasks.core.context import CurrentCall, call_in, current_call, reset_current, set_current
from nbtasks.worker.isolation.copies import leave_copy
from nbtasks.worker.isolation.subprocesses import awaited, note_coroutine
from nbtasks.worker.log import LOGGER

from .room import IdleClock

#: A subtask that has ended with SystemExit ends its call, if after so many seconds nobody has asked for its outcome.
_UNSEEN_S = 0.1

ExceptionHandler = Callable[[asyncio.AbstractEventLoop, "dict[str, Any]"], object]
_handler: ContextVar[ExceptionHandler | None] = ContextVar("nbtasks_exception_handler", default=None)

_all_tasks = asyncio.all_tasks


class SubTask(asyncio.Task[Any]):
    """An asyncio task that knows which call has made it."""

    call: CurrentCall | None = None
    #: What is told of an exception that nobody has looked at.
    handler: ExceptionHandler | None = None

    def __init__(self, coroutine: Any, **how: Any) -> None:
        context = how.get("context")
        self.call = current_call() if context is None else call_in(context)
        self.handler = _handler.get() if context is None else context.get(_handler)
        super().__init__(coroutine, **how)


class SharedLoop(asyncio.SelectorEventLoop):
    """A loop that no call can end, in a thread of its own.

    Args:
        threads: for what calls hand to ``asyncio.to_thread``.
        on_exit: given a call and the SystemExit or KeyboardInterrupt that it has ended with, aside from itself.
        on_lost: called when the loop cannot go on.
    """

    def __init__(
        self, threads: int, on_exit: Callable[[CurrentCall, BaseException], None], on_lost: Callable[[], None]
    ) -> None:
        self.clock = IdleClock()
        super().__init__(self.clock)
        self._on_exit = on_exit
        self._on_lost = on_lost
        super().set_task_factory(_made_by_call)
        super().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="asyncio"))
        asyncio.all_tasks = asyncio.tasks.all_tasks = self._tasks_of_the_call
        self._thread = threading.Thread(target=self._serve, name="nbtasks-loop", daemon=True)
        self._thread.start()

    def held_by(self) -> CurrentCall | None:
        """Return the call whose code the loop runs at this moment."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        handle = _handle_in(frame)
        return None if handle is None else call_in(handle._context)  # type: ignore[attr-defined]

    def forsake(self) -> None:
        """In a forked copy: run nothing but what has forked. The copy ends when it comes to wait for something."""
        if threading.get_ident() == self._thread.ident:
            # There is no public way: what is ready would be run before the loop waits again.
            self._ready.clear()  # type: ignore[attr-defined]

    def will_run(self, call: CurrentCall) -> bool:
        """Whether a callback of a call is still to come."""
        # There is no public way.
        handles = [*self._ready, *self._scheduled]  # type: ignore[attr-defined]
        return any(not handle._cancelled and call_in(handle._context) is call for handle in handles)

    def _serve(self) -> None:
        while True:
            try:
                self.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                leave_copy(error)
                self._note_exit(error)
            except BaseException as error:
                LOGGER.error("the event loop cannot go on: %r", error)
                self._on_lost()
                return

    def _note_exit(self, error: BaseException) -> None:
        """End the call that wanted to end the program, unless it looks at that itself."""
        handle = _handle_of(error.__traceback__)
        call = None if handle is None else call_in(handle._context)  # type: ignore[attr-defined]
        if handle is None or call is None:
            return
        task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
        if not isinstance(task, asyncio.Task):
            self._on_exit(call, error)
            return

        def look() -> None:
            # As asyncio itself does before it says "exception was never retrieved".
            if getattr(task, "_log_traceback", True):
                self._on_exit(call, error)

        self.call_later(_UNSEEN_S, look, context=contextvars.Context())

    # -- what is refused, because others would pay

    def stop(self) -> None:
        """Refuse."""
        raise _refused("stopped")

    async def shutdown_asyncgens(self) -> None:
        """Refuse."""
        raise _refused("shut down")

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Refuse."""
        raise _refused("shut down")

    def set_task_factory(self, factory: Any) -> None:
        """Refuse."""
        raise _refused("given a task factory")

    def set_default_executor(self, executor: Any) -> None:
        """Refuse: it would be everybody's, also when its call has shut it down."""
        raise _refused("given another executor")

    # -- what is each call's own

    async def subprocess_exec(self, *args: Any, **how: Any) -> Any:
        """Start a subprocess, whose end this loop awaits."""
        with awaited():
            return await super().subprocess_exec(*args, **how)

    async def subprocess_shell(self, *args: Any, **how: Any) -> Any:
        """Start a shell, whose end this loop awaits."""
        with awaited():
            return await super().subprocess_shell(*args, **how)

    def _tasks_of_the_call(self, loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
        """Stand in for ``asyncio.all_tasks``: who cancels all tasks means their own."""
        found = _all_tasks(loop)
        call = current_call()
        return {task for task in found if not isinstance(task, SubTask) or task.call is call}

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        """Set the handler for what the running call's own tasks and callbacks raise."""
        _handler.set(handler)

    def get_exception_handler(self) -> ExceptionHandler | None:
        """Return the running call's handler."""
        return _handler.get()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Have the call that an exception comes from handle it; what is printed is its output."""
        handle = context.get("handle")
        own = getattr(handle, "_context", None) or contextvars.Context()
        task = context.get("task") or context.get("future")
        known = task if isinstance(task, SubTask) else None
        token = set_current(known.call if known else call_in(own))
        try:
            handler = known.handler if known else own.get(_handler)
            if handler is not None:
                handler(self, context)
            else:
                self.default_exception_handler(context)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                LOGGER.warning("an exception handler has raised %s", type(error).__name__)
        finally:
            reset_current(token)


def _made_by_call(loop: asyncio.AbstractEventLoop, coroutine: Any, **how: Any) -> SubTask:
    task = SubTask(coroutine, loop=loop, **how)
    if task.call is not None:
        note_coroutine(task.call, task)
    return task


def _refused(what: str) -> RuntimeError:
    return RuntimeError(
        f"this event loop is shared by many calls and cannot be {what} by one of them; "
        "write a task without async that calls asyncio.run(), to have a loop of its own"
    )


def _handle_in(frame: FrameType | None) -> asyncio.Handle | None:
    """Return what the loop runs, from the frames that it has come to."""
    found: asyncio.Handle | None = None
    while frame is not None:
        if frame.f_code is asyncio.Handle._run.__code__:
            found = frame.f_locals.get("self")
        frame = frame.f_back
    return found


def _handle_of(traceback: TracebackType | None) -> asyncio.Handle | None:
    while traceback is not None:
        if traceback.tb_frame.f_code is asyncio.Handle._run.__code__:
            found: asyncio.Handle | None = traceback.tb_frame.f_locals.get("self")
            return found
        traceback = traceback.tb_next
    return None
