"""Figures for Prometheus: on the dashboard, served alone, printed once."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from tests.conftest import wait_until

from .conftest import TOKEN, started


def add(x, y):
    return x + y


def fails():
    raise ValueError("no")


def samples(text):
    """(name, labels) -> value, as Prometheus reads it."""
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def worked(shared_app):
    """An App whose workers have done something."""
    task, bad = shared_app.task(add, name="metered.add"), shared_app.task(fails, name='odd "name"\n\\')
    assert [task.delay(n, n).get() for n in range(3)] == [0, 2, 4]
    bad.delay().get(propagate=False)
    shared_app.task(add, name="metered.waits").apply_async((1, 2), queue="slow")
    return shared_app


def total(told, what, task):
    """How many of a task, wherever they ran."""
    return sum(
        value
        for (name, labels), value in told.items()
        if name == f"nbtasks_task_{what}_total" and dict(labels)["name"] == task
    )


def found(read):
    """The samples once the last event has come."""

    def look():
        told = samples(read())
        return told if total(told, "succeeded", "metered.add") == 3 else None

    return wait_until(look, "three calls are counted")


def check(told, app):
    """What there has to be."""
    (worker,) = app.workers()
    assert told["nbtasks_up", ()] == 1
    place = (("hostname", worker.name), ("name", "metered.add"), ("queue_name", "default"))
    assert told["nbtasks_task_succeeded_total", place] == 3
    assert told["nbtasks_task_failed_total", place] == 0
    assert total(told, "sent", "metered.add") == 3
    assert total(told, "failed", 'odd "name"\n\\') == 1
    assert told["nbtasks_task_runtime_count", (("name", "metered.add"),)] == 3
    assert told["nbtasks_task_runtime_bucket", (("le", "+Inf"), ("name", "metered.add"))] == 3
    assert told["nbtasks_worker_up", (("hostname", worker.name),)] == 1
    assert told["nbtasks_active_worker_count", (("queue_name", "default"),)] == 1
    assert told["nbtasks_active_process_count", (("queue_name", "default"),)] == 2
    lengths = {
        dict(labels)["queue_name"]: value
        for (name, labels), value in told.items()
        if name == "nbtasks_queue_length"
    }
    assert lengths["slow"] == 1
    assert lengths["default"] == 0


def test_the_dashboard_has_them(worked, program, stranger):
    check(found(lambda: program.get("metrics").text), worked)
    assert program.get("metrics").headers["content-type"].startswith("text/plain; version=")
    assert stranger.get("metrics", params={"token": TOKEN}).status_code == 200


def test_they_are_printed_once(worked):
    home = worked.connection
    line = [sys.executable, "-m", "nbtasks", "metrics", "-b", home.url, "--namespace", home.namespace]

    def read():
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout

    check(found(read), worked)


@pytest.mark.long
def test_they_are_served_alone(worked):
    home = worked.connection
    with started(home.url, home.namespace, command="metrics") as served:
        assert served.printed.endswith("/metrics")
        check(found(lambda: httpx.get(served.printed, timeout=30).text), worked)
        assert httpx.get(served.printed, headers={"Host": "evil.example"}, timeout=30).status_code == 403
        assert httpx.post(served.printed, timeout=30).status_code == 401
    with started(home.url, home.namespace, "--token", TOKEN, command="metrics") as served:
        assert httpx.get(served.printed, timeout=30).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(served.printed, headers=headers, timeout=30).status_code == 200


def test_others_need_a_token(worked):
    line = [
        sys.executable,
        "-m",
        "nbtasks",
        "metrics",
        "-b",
        worked.connection.url,
        "--port",
        "0",
        "--host",
        "0.0.0.0",
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "give a token" in done.stderr
