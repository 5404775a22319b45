"""What a task sees of its own call: ``self.request``, ``self.retry()``, ``self.update_state()``."""

from __future__ import annotations

import operator
import time
from datetime import timedelta
from typing import Any

from . import attempts
from .context import CurrentCall, report_state
from .errors import ConfigError, Retry
from .options import TaskOptions, countdown_until


class BoundTask:
    """What a task with ``bind=True`` gets as its first argument."""

    def __init__(self, request: CurrentCall, options: TaskOptions) -> None:
        self.request = request
        self.name = request.name
        self.max_retries = options.max_retries
        self.default_retry_delay = options.default_retry_delay

    def retry(
        self,
        exc: BaseException | None = None,
        countdown: float | timedelta | str | None = None,
        max_retries: int | None = None,
        *,
        eta: Any = None,
        args: Any = None,
        kwargs: Any = None,
        throw: bool = True,
        **options: Any,
    ) -> Retry:
        """End this attempt and run the call again. Always raises, ``raise self.retry()`` only shows it to readers.

        Args:
            exc: raised instead when no retry is left.
            countdown: seconds until the next attempt; the task's own delay if None.
            max_retries: counts for this call instead of the task's own.
            eta: the moment of the next attempt, instead of ``countdown``.
            args: as in Celery, but only the call's own: it is tried again as it was submitted.
            kwargs: likewise.
            throw: True; it cannot be kept from raising.
            options: none can be changed for the next attempt.

        Raises:
            ConfigError: the next attempt cannot be as it is asked for here.
            MaxRetriesExceededError: no retry is left and ``exc`` is None.
        """
        self._check_unchanged(args, kwargs, options)
        if not throw:
            raise ConfigError(
                "self.retry(throw=False): it ends the attempt, so it always raises; leave throw out"
            )
        if eta is not None:
            countdown = countdown_until(countdown, eta, time.time())
        if self.request.called_directly and exc is not None:
            raise exc
        most = attempts.most_retries(max_retries, self.max_retries)
        if most is not None and self.request.retries >= most:
            raise exc if exc is not None else attempts.used_up(most, self.request)
        raise Retry(f"retry {self.request.retries + 1}", countdown, exc, max_retries)  # type: ignore[arg-type]

    def _check_unchanged(self, args: Any, kwargs: Any, options: dict[str, Any]) -> None:
        own_args, own = self.request.args, self.request.kwargs
        asked = sorted(options)
        if kwargs and not (kwargs.keys() == own.keys() and all(kwargs[name] is own[name] for name in own)):
            asked.insert(0, "kwargs")
        if args and not (len(args) == len(own_args) and all(map(operator.is_, args, own_args))):
            asked.insert(0, "args")
        if asked:
            raise ConfigError(
                f"self.retry({', '.join(f'{name}=...' for name in asked)}): a call is tried again as it was submitted; "
                "for other arguments or options submit a new call: task.apply_async(args, kwargs, ...)"
            )

    def update_state(self, state: Any = "", meta: Any = None, task_id: str | None = None) -> None:
        """Show ``meta`` as the call's progress. It never fails the call.

        Args:
            meta: ``current`` (or ``done``), ``total``, ``message``; other fields are shown as text.
            state: shown where there is nothing else to show.
            task_id: of another call: as in Celery a task may name one; only its own progress is shown.
        """
        if task_id is None or task_id == self.request.id:
            report_state(self.request, state, meta)
