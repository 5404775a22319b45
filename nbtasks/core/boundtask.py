"""What a task sees of its own call: ``self.request``, ``self.retry()`` and the like."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from . import attempts
from .context import CurrentCall, make_task, report_state
from .errors import Retry
from .options import TaskOptions
from .replacement import refuse_more_members, replace_by
from .retrychanges import retry_changes
from .starttimes import countdown_until


class BoundTask:
    """What a task with ``bind=True`` gets as its first argument: the task itself, with what belongs to this call.

    All that a task has besides is there, too: ``self.app``, ``self.delay()``, ``self.apply_async()``.
    """

    def __init__(
        self, request: CurrentCall, options: TaskOptions, function: Callable[..., Any] | None = None
    ) -> None:
        self.request = request
        self.name = request.name
        self.options = options
        self.max_retries = options.max_retries
        self.default_retry_delay = options.default_retry_delay
        self.function = function or request.function

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return getattr(self._task(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, now."""
        return self._task()(*args, **kwargs)

    def __reduce__(self) -> Any:
        return self._task().__reduce__()

    def _task(self) -> Any:
        """Return the task for those who submit calls of it; made when it is asked for, which few calls do."""
        made = self.__dict__.get("_made")
        if made is None:
            made = self.__dict__["_made"] = make_task[0](self.function, self.options)
        return made

    def retry(
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: Any = None,
        countdown: float | timedelta | str | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """End this attempt and run the call again. It raises, ``raise self.retry()`` only shows that to readers.

        Args:
            args: positional arguments of the next attempt; those of this one if None.
            kwargs: keyword arguments of the next attempt; those of this one if None.
            exc: raised instead when no retry is left.
            throw: False returns what it would raise: the call is tried again when the task has ended, whatever it
                returns.
            eta: the moment of the next attempt, instead of ``countdown``.
            countdown: seconds until the next attempt; the task's own delay if None.
            max_retries: counts for this call instead of the task's own.
            options: ``queue``, ``priority``, ``expires``, ``time_limit``, ``soft_time_limit`` of the next attempt.

        Raises:
            ConfigError: the next attempt cannot be as it is asked for here.
            MaxRetriesExceededError: no retry is left and ``exc`` is None.
        """
        if isinstance(args, BaseException):
            args, exc = None, args
        changes = retry_changes(self.request, args, kwargs, options)
        if eta is not None:
            countdown = countdown_until(countdown, eta, time.time())
        if self.request.called_directly and exc is not None:
            raise exc
        most = attempts.most_retries(max_retries, self.max_retries)
        if most is not None and self.request.retries >= most:
            raise exc if exc is not None else attempts.used_up(most, self.request)
        retry = Retry(f"retry {self.request.retries + 1}", countdown, exc, max_retries)
        retry.changes = changes
        if throw:
            raise retry
        self.request.again = retry
        return retry

    def replace(self, signature: Any) -> Any:
        """Have a signature, or a composition, take the place of this call: what it gives is what the call gives.

        It raises, ``raise self.replace(...)`` only shows that to readers. Whatever waits for the call waits for the
        other; a group gives its list. Where the function was called like any other, its value is returned.

        Raises:
            TypeError: it is no signature, or its arguments do not fit their function.
            ConfigError: its calls would go to another broker, or there is no end to it.
        """
        return replace_by[0](self.request, signature)

    def add_to_chord(self, signature: Any, lazy: bool = False) -> Any:
        """Refuse, with what to do instead."""
        return refuse_more_members(self.name)

    def update_state(self, state: Any = None, meta: Any = None, task_id: Any = None, **_: Any) -> None:
        """Give the call a state of its own while it runs, and data with it. It never fails the call.

        Whoever holds the call's handle finds them in ``state`` and ``info``, and its card shows them.

        Args:
            state: any name, such as ``"PROGRESS"``.
            meta: any value. Of a dict the card draws ``current`` and ``total`` as a bar, and shows ``message``.
            task_id: of another call: as in Celery a task may name one; only its own state is told.
        """
        own = self.request.id
        if (type(state) is str and state == own) or not isinstance(task_id, str | None):
            # By position, as in Celery: the id comes first.
            task_id, state, meta = state, meta, task_id
        if task_id is None or (type(task_id) is str and task_id == own):
            report_state(self.request, state, meta)
