"""Where Sentry and OpenTelemetry send to in tests: into files, from whatever process."""

from __future__ import annotations

import json
from pathlib import Path

import sentry_sdk
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from sentry_sdk.transport import Transport


def _append(path, said):
    with Path(path).open("a") as file:
        file.write(json.dumps(said, default=str) + "\n")


def start_sentry(path):
    """Set up Sentry as a user does, but for the place it sends to."""
    from nbtasks.contrib.sentry import NbtasksIntegration

    class FileTransport(Transport):
        def capture_envelope(self, envelope):
            for item in envelope.items:
                if item.type in ("event", "transaction"):
                    _append(path, {"type": item.type, **item.payload.json})

    sentry_sdk.init(
        "http://key@127.0.0.1:1/1", transport=FileTransport, traces_sample_rate=1.0,
        integrations=[NbtasksIntegration()], default_integrations=False,
    )  # fmt: skip


class SpanFile(SpanExporter):
    """Writes spans into a file."""

    def __init__(self, path):
        self._path = path

    def export(self, spans):
        for span in spans:
            context = span.get_span_context()
            _append(
                self._path,
                {
                    "name": span.name,
                    "span": context.span_id,
                    "trace": context.trace_id,
                    "parent": span.parent.span_id if span.parent else None,
                    "links": [link.context.span_id for link in span.links],
                    "attributes": dict(span.attributes),
                    "status": span.status.status_code.name,
                    "events": [event.name for event in span.events],
                },
            )
        return SpanExportResult.SUCCESS


def start_opentelemetry(path):
    """Set up OpenTelemetry in a worker."""
    from nbtasks.contrib.opentelemetry import instrument

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SpanFile(path)))
    instrument(provider)
