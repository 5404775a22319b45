"""What tasks raise, and how long they run, in Sentry.

::

    sentry_sdk.init(dsn, integrations=[NbtasksIntegration()])

It belongs where calls are submitted, so that a trace goes on in the worker, and into each process of a worker: in a
module that workers import, or in a function of ``@app.worker_setup``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sentry_sdk
from sentry_sdk.integrations import Integration

from nbtasks.core.attempts import next_try
from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import Ignore, Reject, Retry
from nbtasks.core.signal import before_task_publish, worker_process_shutdown
from nbtasks.signals import around_call

#: Seconds that a process gives what it has to report before it ends.
_FLUSH_S = 2.0
_TRACE, _BAGGAGE = "sentry-trace", "baggage"


class NbtasksIntegration(Integration):
    """Reports what a call ends with; not what it is retried for, nor what its task expects (``throws``)."""

    identifier = "nbtasks"

    @staticmethod
    def setup_once() -> None:
        """Called by Sentry."""
        around_call(_reported)
        before_task_publish.connect(_add_trace, weak=False)
        worker_process_shutdown.connect(_flush, weak=False)


@contextlib.contextmanager
def _reported(task: Any, request: CurrentCall) -> Iterator[None]:
    if sentry_sdk.get_client().get_integration(NbtasksIntegration) is None:
        yield
        return
    with sentry_sdk.isolation_scope() as scope:
        scope.set_tag("nbtasks.task_id", request.id)
        scope.set_context(
            "nbtasks", {"task": task.name, "worker": request.worker, "attempt": request.attempt}
        )
        headers = {name: str(value) for name, value in request.headers.items() if name in (_TRACE, _BAGGAGE)}
        began = sentry_sdk.continue_trace(headers, op="queue.task.nbtasks", name=task.name, source="task")
        with sentry_sdk.start_transaction(began) as transaction:
            try:
                yield
            except (Retry, Ignore, Reject):
                raise
            except Exception as error:
                if next_try(error, request, task.options)[1] is None:
                    transaction.set_status("internal_error")
                    if not isinstance(error, task.options.throws):
                        sentry_sdk.capture_exception(error)
                raise


def _add_trace(headers: dict[str, Any], **_: Any) -> None:
    found = {_TRACE: sentry_sdk.get_traceparent(), _BAGGAGE: sentry_sdk.get_baggage()}
    headers.update({name: value for name, value in found.items() if value})


def _flush(**_: Any) -> None:
    sentry_sdk.flush(_FLUSH_S)
