"""Spans of submits and calls, for OpenTelemetry.

``instrument()`` belongs where calls are submitted, and into each process of a worker: in a module that workers import,
or in a function of ``@app.worker_setup``. The context of the submit travels with the calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import Ignore, Reject, Retry
from nbtasks.core.signal import after_task_publish, before_task_publish
from nbtasks.signals import around_call

_SYSTEM = {"messaging.system": "nbtasks"}


def instrument(tracer_provider: trace.TracerProvider | None = None) -> None:
    """Make a span ``submit <task>`` of each submit, and a span ``run <task>`` of each attempt of a call.

    The run of a single call is a child of its submit. Calls of a map have a trace each, with a link to their submit:
    100,000 calls in one trace are of no use to anybody.

    Args:
        tracer_provider: the global one if None.
    """
    spans = _Spans(trace.get_tracer("nbtasks", tracer_provider=tracer_provider))
    around_call(spans.run)
    before_task_publish.connect(spans.begin_submit, weak=False, dispatch_uid=__name__)
    after_task_publish.connect(spans.end_submit, weak=False, dispatch_uid=__name__)


class _Spans:
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        #: traceparent -> span of a submit that goes on.
        self._open: dict[str, trace.Span] = {}

    def begin_submit(self, sender: str, headers: dict[str, Any], routing_key: str, **_: Any) -> None:
        """Add the context of the submit to what travels."""
        said = {**_SYSTEM, "messaging.destination.name": routing_key}
        span = self._tracer.start_span(f"submit {sender}", kind=SpanKind.PRODUCER, attributes=said)
        propagate.inject(headers, trace.set_span_in_context(span))
        self._open[str(headers.get("traceparent"))] = span

    def end_submit(self, headers: dict[str, Any], **_: Any) -> None:
        """End the span of a submit."""
        span = self._open.pop(str(headers.get("traceparent")), None)
        if span is not None:
            span.set_attribute("messaging.message.id", str(headers["id"]))
            span.end()

    @contextlib.contextmanager
    def run(self, task: Any, request: CurrentCall) -> Iterator[None]:
        """Make the span of an attempt, within which the task runs."""
        sent = propagate.extract(request.headers)
        submit = trace.get_current_span(sent).get_span_context()
        of_a_map = request.id != request.batch
        with self._tracer.start_as_current_span(
            f"run {task.name}",
            context=None if of_a_map else sent,
            kind=SpanKind.CONSUMER,
            links=[Link(submit)] if of_a_map and submit.is_valid else [],
            attributes={
                **_SYSTEM,
                "messaging.message.id": request.id,
                "messaging.destination.name": request.queue,
                "nbtasks.attempt": request.attempt,
                "nbtasks.worker": request.worker,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except (Retry, Ignore, Reject):
                raise
            except Exception as error:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
                raise
