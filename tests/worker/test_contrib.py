"""Sentry and OpenTelemetry, with real workers; what they would send goes into a file."""

from __future__ import annotations

import json
import os

import pytest
import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from nbtasks import App
from nbtasks.contrib import opentelemetry, sentry
from nbtasks.core import around
from nbtasks.signals import after_task_publish, before_task_publish, worker_process_shutdown
from tests.in_workers import sinks

SOON = 60.0


@pytest.fixture
def alone():
    """Takes back what is registered for the whole process."""
    signals = (before_task_publish, after_task_publish, worker_process_shutdown)
    before, makers = [one.receivers for one in signals], list(around.makers)
    yield
    for one, receivers in zip(signals, before, strict=True):
        one.receivers = receivers
    around.makers[:] = makers
    sentry_sdk.get_global_scope().set_client(None)


@pytest.fixture
def sink(tmp_path):
    """A file for what would be sent, and what reads it: a list of dicts."""
    path = tmp_path / "sent"
    path.touch()
    return str(path), lambda: [json.loads(line) for line in path.read_text().splitlines()]


def works(x):
    """Task code."""
    return x


def fails(x):
    """Task code."""
    raise ValueError(x)


def test_sentry_gets_an_event_and_a_transaction(home, alone, sink, eventually):
    path, sent = sink
    with App("sentry") as app:

        @app.worker_setup
        def report():
            sinks.start_sentry(path)

        app.start_workers(1)
        assert app.task(works, name="works").delay(1).get(timeout=SOON) == 1
        bad = app.task(fails, name="fails").delay("broken")
        with pytest.raises(ValueError, match="broken"):
            bad.get(timeout=SOON)
        again = app.task(fails, name="again", retries=1, default_retry_delay=0.01).delay("twice")
        expected = app.task(fails, name="expected", throws=(ValueError,)).delay("as expected")
        for handle in (again, expected):
            with pytest.raises(ValueError, match=r"twice|expected"):
                handle.get(timeout=SOON)
        app.stop_workers()
    events = [one for one in sent() if one["type"] == "event"]
    assert [(one["exception"]["values"][-1]["value"], one["tags"]["nbtasks.task_id"]) for one in events] == [
        ("broken", bad.id), ("twice", again.id),
    ]  # fmt: skip
    runs = sorted(one["transaction"] for one in sent() if one["type"] == "transaction")
    assert runs == ["again", "again", "expected", "fails", "works"]


def test_sentrys_trace_goes_on_in_the_worker(home, alone, sink):
    path, sent = sink
    sinks.start_sentry(os.devnull)
    with App("sentry") as app:
        app.worker_setup(lambda: sinks.start_sentry(path))
        app.start_workers(1)
        with sentry_sdk.start_transaction(op="test", name="the cell") as here:
            assert app.task(works, name="works").delay(1).get(timeout=SOON) == 1
        app.stop_workers()
    (run,) = sent()
    assert run["contexts"]["trace"]["trace_id"] == here.trace_id
    assert run["contexts"]["trace"]["op"] == "queue.task.nbtasks"


def test_spans_of_submits_and_runs_are_of_one_trace(home, alone, sink):
    path, sent = sink
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(sinks.SpanFile(path)))
    opentelemetry.instrument(provider)
    with App("spans") as app:
        app.worker_setup(lambda: sinks.start_opentelemetry(path))
        app.start_workers(1)
        with provider.get_tracer("test").start_as_current_span("the cell"):
            handle = app.task(works, name="works").delay(1)
            assert handle.get(timeout=SOON) == 1
            group = app.task(works, name="works").map([1, 2])
            assert group.get(timeout=SOON) == [1, 2]
            with pytest.raises(ValueError, match="broken"):
                app.task(fails, name="fails").delay("broken").get(timeout=SOON)
        app.stop_workers()
    spans = {(one["name"], one["attributes"].get("messaging.message.id")): one for one in sent()}
    cell = spans["the cell", None]
    submit, run = spans["submit works", handle.id], spans["run works", handle.id]
    assert submit["parent"] == cell["span"]
    assert run["parent"] == submit["span"]
    assert {submit["trace"], run["trace"]} == {cell["trace"]}
    of_map = spans["submit works", group.id]
    for index in range(2):
        one = spans["run works", f"{group.id}:{index}"]
        assert one["parent"] is None
        assert one["links"] == [of_map["span"]]
    (failed,) = [one for one in sent() if one["name"] == "run fails"]
    assert failed["status"] == "ERROR"
    assert failed["events"] == ["exception"]
    assert isinstance(trace.get_tracer_provider(), object)


def test_each_is_a_module_of_its_own():
    assert sentry.NbtasksIntegration.identifier == "nbtasks"
