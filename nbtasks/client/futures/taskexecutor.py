"""``app.executor()``: the workers of an App as an executor of concurrent.futures."""

from __future__ import annotations

import functools
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from nbtasks.client.definition import Definition
from nbtasks.client.submitting.withhandles import submit_call
from nbtasks.client.task import Task
from nbtasks.core.cpus import usable_cpus
from nbtasks.core.options import TaskOptions

from .futureline import FutureLine
from .mapped import as_taken, in_order
from .taskfuture import TaskFuture

if TYPE_CHECKING:
    from nbtasks.client.current import Provider

R = TypeVar("R")
#: Functions whose tasks are kept: what was packed of one is sent once.
_MOST_TASKS = 64


class TaskExecutor(Executor):
    """Made by :meth:`nbtasks.App.executor`. What it is given runs on the App's workers.

    Args:
        max_workers: calls of it that run at once, at most; as many as there are slots if None.
        options: of the tasks that its calls are.

    Attributes:
        line: its calls on their way.
    """

    def __init__(self, app: Provider, max_workers: int | None, options: TaskOptions) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self._app = app
        self._most = max_workers
        self._options = options
        self._tasks: OrderedDict[Any, Task[..., Any]] = OrderedDict()
        self.line = FutureLine(max_workers)
        self._over = False
        self._closer: Any = weakref.finalize(self, self.line.close)
        self._closer.atexit = False

    @property
    def _max_workers(self) -> int:
        """How many of its calls run at once. Dask asks the standard library's executors so, and submits no more."""
        if self._most is not None:
            return self._most
        workers = self._app.engine.taking(self._options.queue)
        return sum(worker.slots_total for worker in workers) or usable_cpus()

    # -- submitting

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> TaskFuture[R]:
        """Have ``fn(*args, **kwargs)`` run on a worker.

        Raises:
            RuntimeError: the executor was shut down.
            BrokerUnavailable: the broker cannot be reached; nothing was submitted.
            ConfigError: the App is closed.
        """
        self._check_open()
        future: TaskFuture[R] = TaskFuture()
        task, before = self._task_of(fn)
        engine = self._app.engine
        self.line.put(future, functools.partial(submit_call, engine, task, (*before, *args), kwargs, {}))
        return future

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """Return the results of ``fn`` over the items, in their order.

        Args:
            timeout: seconds from this call on after which the next result raises TimeoutError.
            chunksize: calls that travel together, at least.
            buffersize: submit at most so many calls ahead of the results that were taken; all at once if None.

        Raises:
            RuntimeError: the executor was shut down.
            ValueError: chunksize or buffersize is less than 1.
            TypeError: an item does not fit the function.
            NotPicklable: an item cannot travel.
        """
        self._check_open()
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        give_up_at = None if timeout is None else time.monotonic() + timeout
        if buffersize is not None:
            return as_taken(self.submit, fn, zip(*iterables, strict=False), give_up_at, buffersize)
        task, before = self._task_of(fn)
        group = task.starmap(
            ((*before, *items) for items in zip(*iterables, strict=False)),
            chunk=chunksize if chunksize > 1 else None,
            max_parallel=self._most,
        )
        self.line.note_map(group)
        return in_order(group, give_up_at)

    def _task_of(self, fn: Callable[..., Any]) -> tuple[Task[..., Any], tuple[Any, ...]]:
        """Return the task that runs a callable, and the arguments that come before its own."""
        if isinstance(fn, Definition):
            return self._kept_task(fn, fn.function, fn.options), ()
        if type(fn) in (FunctionType, BuiltinFunctionType):
            return self._kept_task(fn, fn, self._options), ()
        if not callable(fn):
            raise TypeError(f"executor: {fn!r:.80} is not callable")
        # An object that can be called, a partial say, is an argument: it may be another one with each call.
        name = _name_of(fn)
        return self._kept_task(name, call, TaskOptions.make({"name": name}, self._options)), (fn,)

    def _kept_task(self, key: Any, function: Callable[..., Any], options: TaskOptions) -> Task[..., Any]:
        task = self._tasks.pop(key, None)
        if task is None:
            task = Task(function, options, self._app)
        self._tasks[key] = task
        while len(self._tasks) > _MOST_TASKS:
            self._tasks.popitem(last=False)
        return task

    def _check_open(self) -> None:
        if self._over:
            raise RuntimeError("cannot schedule new futures after shutdown")

    # -- the end

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls.

        Args:
            wait: until all calls have ended.
            cancel_futures: revoke those that no worker has begun.
        """
        self._over = True
        if cancel_futures:
            self.line.revoke()
        self._closer()
        self._tasks.clear()
        if wait:
            self.line.wait()


def call(fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
    """Call what is no function by itself; runs on workers."""
    return fn(*args, **kwargs)


def _name_of(fn: Any) -> str:
    """Return what cards and logs call it: a partial is named after its function."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return str(getattr(fn, "__name__", type(fn).__name__))
