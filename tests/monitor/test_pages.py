"""The data of the dashboard's pages: of what real workers have done, also before anybody looked."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.monitor.monitor import Monitor
from tests.chaos import servers
from tests.conftest import wait_until


def add(x, y):
    return x + y


def fails(n):
    print(f"reading row {n}")
    raise ValueError(f"bad row {n}")


def hold(gate_path):
    """Task code: wait for the gate."""

    while not Path(gate_path).exists():
        time.sleep(0.01)


@pytest.fixture
def monitor(shared_app):
    """One that has just begun to look."""
    made = Monitor(shared_app)
    yield made
    made.close()


def page_when(monitor, name, is_so, filters=None):
    """A page as soon as it is as it should be; all of it is JSON."""

    def look():
        found = monitor.page(name, filters)
        json.dumps(found, allow_nan=False)
        return found if is_so(found) else None

    return wait_until(look, f"page {name}")


def test_it_shows_what_has_happened_before_it_looked(shared_app, monitor):
    task, bad = shared_app.task(add, name="before.add"), shared_app.task(fails, name="before.fails")
    assert [task.delay(n, n).get() for n in range(3)] == [0, 2, 4]
    for n in (17, 18):
        assert isinstance(bad.delay(n).get(propagate=False), ValueError)

    def told(page):
        counts = {one["task"]: one for one in page["tasks"]}
        return (
            counts.get("before.add", {}).get("succeeded") == 3
            and counts.get("before.fails", {}).get("failed") == 2
        )

    page = page_when(monitor, "overview", told)
    assert page["since"] <= page["now"]
    assert page["workers"]["n"] == 1
    assert page["workers"]["children"] == 2
    (failure,) = [one for one in page["failures"] if one["task"] == "before.fails"]
    assert (failure["signature"], failure["count"]) == ("ValueError: bad row #", 2)
    assert sum(second["failed"] for second in page["rates"]) <= page["totals"]["failed"]


def test_calls_are_found_by_what_they_are(shared_app, monitor):
    bad = shared_app.task(fails, name="found.fails")
    handle = bad.delay(99)
    handle.get(propagate=False)
    page = page_when(monitor, "tasks", lambda page: page["rows"], {"task": "found.fails", "state": "FAILURE"})
    (row,) = page["rows"]
    assert row["id"] == handle.id
    assert row["error"] == "ValueError: bad row 99"
    assert row["started_at"] <= row["ended_at"]
    assert row["worker"] == shared_app.workers()[0].name
    assert page["total"] == 1
    for filters in (
        {"text": "bad row 99"},
        {"worker": row["worker"], "task": "found.fails"},
        {"since_s": 600, "task": "found.fails"},
    ):
        assert [one["id"] for one in monitor.page("tasks", filters)["rows"]] == [handle.id]
    for filters in ({"state": "SUCCESS", "task": "found.fails"}, {"text": "no such text"}, {"until": 1.0}):
        assert monitor.page("tasks", filters)["rows"] == []


def test_a_table_is_read_page_by_page(shared_app, monitor):
    task = shared_app.task(add, name="many.add")
    for n in range(5):
        task.delay(n, n).get()
    filters = {"task": "many.add", "limit": 2}
    page_when(monitor, "tasks", lambda page: page["total"] == 5, filters)
    found, before = [], ""
    while before is not None:
        page = monitor.page("tasks", {**filters, "before": before} if before else filters)
        found += [row["id"] for row in page["rows"]]
        before = page["next"]
    assert len(found) == len(set(found)) == 5


def test_a_table_is_ordered_before_it_is_cut_into_pages(shared_app, monitor):
    task, slow = shared_app.task(add, name="ordered.add"), shared_app.task(hold, name="ordered.hold")
    ids = [task.delay(n, n).id for n in range(5)]
    long = slow.delay("/nowhere")
    try:
        page_when(
            monitor, "tasks", lambda page: page["total"] == 1, {"task": "ordered.hold", "state": "STARTED"}
        )
        page_when(
            monitor, "tasks", lambda page: page["total"] == 5, {"task": "ordered.add", "state": "SUCCESS"}
        )
        filters = {"sort": "submitted", "task": "ordered.add", "limit": 3}
        first = monitor.page("tasks", filters)
        rest = monitor.page("tasks", {**filters, "before": first["next"]})
        assert [row["id"] for page in (first, rest) for row in page["rows"]] == ids
        assert rest["next"] is None
        down = monitor.page("tasks", {**filters, "down": "true"})
        assert [row["id"] for row in down["rows"]] == ids[:1:-1]
        # What runs counts with the time for which it has run so far.
        longest = monitor.page("tasks", {"sort": "ran", "down": "true", "text": "ordered."})["rows"]
        assert longest[0]["id"] == long.id
        assert monitor.page("tasks", {"sort": "__class__"})["order"]["by"] is None
    finally:
        long.revoke(terminate=True)


def test_what_was_for_a_failure_that_never_came_is_not_called_cancelled(shared_app, monitor):
    told = shared_app.task(add, name="unneeded.add")
    handle = shared_app.task(add, name="needed.add").apply_async((1, 2), link_error=[told.si(3, 4)])
    assert handle.get() == 3
    page = page_when(
        monitor, "tasks", lambda page: page["total"] == 1, {"task": "unneeded.add", "state": "REVOKED"}
    )
    (row,) = page["rows"]
    assert (row["note"], row["error"]) == ("not needed", None)
    call = monitor.page("call", {"id": row["id"]})
    assert call["note"] == "not needed"
    (counts,) = [one for one in monitor.page("overview")["tasks"] if one["task"] == "unneeded.add"]
    assert (counts["sent"], counts["revoked"]) == (1, 0)


def test_a_queue_is_emptied(shared_app, monitor, gate):
    task, slow = shared_app.task(add, name="emptied.add"), shared_app.task(hold, name="emptied.hold")
    waiting = [task.apply_async((n, n), queue="to-empty") for n in range(3)]
    elsewhere = task.apply_async((1, 2), queue="to-keep")
    running = slow.delay(gate.path)
    page_when(monitor, "tasks", lambda page: page["total"] == 1, {"task": "emptied.hold", "state": "STARTED"})
    assert monitor.act("purge", {"queue": "to-empty"}) == {
        "ok": True,
        "said": "3 calls revoked that waited in to-empty; what runs goes on",
        "workers": {},
    }
    assert {one.state for one in waiting} == {"REVOKED"}
    assert elsewhere.state == "PENDING"
    assert monitor.act("purge", {"queue": "default"})["said"].startswith("0 calls")
    assert not monitor.act("purge", {})["ok"]
    gate.open()
    assert running.get() is None
    elsewhere.revoke()


def test_one_call_is_told_in_full(shared_app, monitor):
    handle = shared_app.task(fails, name="full.fails").delay(5)
    handle.get(propagate=False)
    call = page_when(monitor, "call", lambda page: page.get("events"), {"id": handle.id})
    assert call["found"]
    assert call["state"] == "FAILURE"
    assert call["args"] == "n = 5"
    assert call["error"] == "ValueError: bad row 5"
    assert "Traceback" in call["traceback"]
    assert call["output"] == [{"stream": "stdout", "text": "reading row 5\n"}]
    assert call["actions"] == ["retry"]
    assert [one["n"] for one in call["attempts"]] == [1]
    again = monitor.act("retry", {"id": handle.id})
    assert again["ok"]
    assert isinstance(shared_app.AsyncResult(again["id"]).get(propagate=False), ValueError)
    done = shared_app.task(add, name="full.add").delay(2, 3)
    done.get()
    assert monitor.page("call", {"id": done.id})["result"] == "5"
    assert monitor.page("call", {"id": "nobody"})["found"] is False


def test_a_call_that_runs_is_seen_at_its_child_and_stops(shared_app, monitor, gate):
    handle = shared_app.task(hold, name="seen.hold").delay(gate.path)

    def runs(page):
        return [
            call
            for child in page["workers"][0]["children"]
            for call in child["calls"]
            if call["call"] == handle.id
        ]

    page = page_when(monitor, "workers", runs)
    (call,) = runs(page)
    assert call["task"] == "seen.hold"
    (worker,) = page["workers"]
    assert worker["alive"]
    assert worker["matches"]
    assert worker["cpu"] is None or worker["cpu"] >= 0
    assert worker["versions"]["python"]
    assert worker["memory"] > sum(child["memory"] for child in worker["children"]) / 2
    line = page_when(
        monitor,
        "timeline",
        lambda page: any(bar[3] == handle.id for lane in page["lanes"] for bar in lane["bars"]),
        {"last_s": 600},
    )
    (bar,) = [bar for lane in line["lanes"] for bar in lane["bars"] if bar[3] == handle.id]
    assert bar[1:3] == [None, "STARTED"]
    done = monitor.act("terminate", {"id": handle.id})
    assert done["ok"]
    assert wait_until(handle.ready)
    page_when(monitor, "tasks", lambda page: page["rows"][0]["state"] == "REVOKED", {"task": "seen.hold"})
    assert monitor.act("revoke", {"id": handle.id})["said"] == "it has ended already: REVOKED"


def test_of_what_others_have_submitted_the_worker_tells_the_arguments(shared_app, gate):
    handle = shared_app.task(hold, name="theirs.hold").delay(gate.path)
    home = shared_app.connection
    with App("onlooker", connection=home) as onlooker:
        monitor = Monitor(onlooker)
        call = page_when(monitor, "call", lambda page: page.get("state") == "STARTED", {"id": handle.id})
        assert "/gate'" in call["args"]
        gate.open()
        handle.get()
        # It is remembered.
        assert "/gate'" in monitor.page("call", {"id": handle.id})["args"]
        assert monitor.page("call", {"id": handle.id})["actions"] == []
        monitor.close()


def test_queues_say_why_nobody_takes_what_waits(shared_app, monitor):
    task = shared_app.task(add, name="waits.add")
    waiting, late = task.apply_async((1, 2), queue="nobody"), task.apply_async((1, 2), countdown=600)

    def waits(page):
        queues = {one["name"]: one for one in page["queues"]}
        return queues.get("nobody", {}).get("waiting") == 1 and queues["default"]["delayed"] == 1

    page = page_when(monitor, "overview", waits)
    (queue,) = [one for one in page["queues"] if one["name"] == "nobody"]
    assert queue["workers"] == 0
    assert "nbtasks worker -Q nobody" in queue["why"]
    assert 0 <= queue["oldest_s"] < 600
    call = monitor.page("call", {"id": waiting.id})
    assert "no worker listens on queue 'nobody'" in call["why"]
    assert call["actions"] == ["revoke", "terminate"]
    assert monitor.act("revoke", {"id": waiting.id})["ok"]
    assert monitor.act("revoke", {"id": late.id})["ok"]
    assert waiting.state == late.state == "REVOKED"


def test_schedules_are_listed_and_steered(shared_app, monitor):
    task = shared_app.task(add, name="regular.add")
    shared_app.add_periodic_task(3600, task.s(1, 2), name="hourly")
    (row,) = monitor.page("schedules")["schedules"]
    assert (row["name"], row["task"], row["paused"]) == ("hourly", "regular.add", False)
    assert row["next"] > time.time()
    assert monitor.act("pause", {"name": "hourly"})["ok"]
    assert monitor.page("schedules")["schedules"][0]["paused"]
    assert monitor.act("resume", {"name": "hourly"})["ok"]
    ran = monitor.act("run", {"name": "hourly"})
    assert shared_app.AsyncResult(ran["id"]).get() == 3
    assert page_when(monitor, "schedules", lambda page: page["schedules"][0]["runs"])
    assert monitor.act("remove", {"name": "hourly"})["ok"]
    assert monitor.page("schedules")["schedules"] == []
    assert monitor.act("remove", {"name": "hourly"}) == {
        "ok": False,
        "said": "it was not there any more",
        "workers": {},
    }


def test_locks_say_who_holds_them_and_limits_are_listed(shared_app, monitor):
    with shared_app.lock("db"):
        page = page_when(monitor, "locks", lambda page: page["locks"])
    (lock,) = page["locks"]
    assert (lock["name"], lock["kind"], lock["count"], lock["waiting"]) == ("db", "lock", 1, 0)
    assert lock["holders"][0]["call"] is None
    assert lock["holders"][0]["since_s"] >= 0
    assert monitor.act("rate_limit", {"task": "some.task", "rate": "10/m"})["ok"]
    limits = page_when(monitor, "locks", lambda page: page["limits"])["limits"]
    assert [(one["task"], one["rate"]) for one in limits] == [("some.task", "10/m")]


def test_the_broker_tells_of_itself(monitor):
    page = monitor.page("broker")
    assert page["kind"] in ("valkey", "redis")
    assert page["embedded"] is True
    assert page["memory"] > 0
    assert page["clients"] > 0
    assert page["keys"] > 0
    assert len(page["ops"]) == 1


def test_workers_are_scaled_and_asked_one_at_a_time(home):
    with App("scaled") as app, App("other") as other:
        app.start_workers(1, name="w1")
        other.start_workers(1, name="w2")
        monitor = Monitor(app)
        assert monitor.act("grow", {"worker": "w1"})["workers"] == {"w1": {"ok": "pool will grow"}}
        page_when(monitor, "workers", lambda page: [one["concurrency"] for one in page["workers"]] == [2, 1])
        assert monitor.act("shrink", {"worker": "w1", "n": 9})["ok"] is False
        assert monitor.act("add_queue", {"worker": "w2", "queue": "io"})["ok"]
        page_when(monitor, "workers", lambda page: "io" in page["workers"][1]["queues"])
        assert monitor.act("cancel_queue", {"worker": "w2", "queue": "io"})["ok"]
        # Never all of them by mistake.
        for body in ({}, {"worker": ""}, {"worker": None}, {"worker": ["w1", "w2"]}, {"worker": "*"}):
            assert monitor.act("stop", body)["ok"] is False
        assert len(monitor.page("workers")["workers"]) == 2
        assert monitor.act("drain", {"worker": "w2"})["ok"]
        monitor.close()


def test_a_server_that_is_away_is_said_and_comes_back(home, run_folder):
    with servers.running("bundled", run_folder) as server, App("away", broker=server.url) as app:
        monitor = Monitor(app)
        assert monitor.page("overview")["problem"] is None
        server.kill()
        for name in ("overview", "workers", "locks", "schedules", "broker"):
            page_when(monitor, name, lambda page: "cannot be reached" in (page["problem"] or ""))
        done = monitor.act("rate_limit", {"task": "x", "rate": "1/s"})
        assert not done["ok"]
        assert "cannot be reached" in done["said"]
        server.start()
        for name in ("overview", "workers", "tasks", "locks", "schedules", "broker"):
            page_when(monitor, name, lambda page: page["problem"] is None)
        monitor.close()


@pytest.mark.long
def test_what_a_dead_worker_ran_goes_on_elsewhere(home, gate):
    with App("first") as first, App("second") as second:
        first.start_workers(1, name="w1")
        monitor = Monitor(first)
        handle = first.task(hold, name="moved.hold").delay(gate.path)

        def worker(page):
            return [
                row["worker"] for row in page["rows"] if row["id"] == handle.id and row["state"] == "STARTED"
            ]

        page_when(monitor, "tasks", lambda page: worker(page) == ["w1"])
        (pid,) = [one.pid for one in first.workers()]
        second.start_workers(1, name="w2")
        os.kill(pid, signal.SIGKILL)
        page_when(monitor, "tasks", lambda page: worker(page) == ["w2"])
        gate.open()
        handle.get()
        page = page_when(monitor, "tasks", lambda page: page["rows"][0]["state"] == "SUCCESS")
        assert page["rows"][0]["worker"] == "w2"
        monitor.close()


def test_workers_tell_of_their_failures_and_of_their_end(home):
    with App("failing") as app:
        app.start_workers(1, name="w1")
        monitor = Monitor(app)
        app.task(fails).delay(1).get(propagate=False)
        page_when(monitor, "workers", lambda page: [one["failed"] for one in page["workers"]] == [1])
        assert monitor.page("workers")["gone"] == []
        app.stop_workers()
        page = page_when(monitor, "workers", lambda page: page["gone"])
        assert [(one["name"], one["reason"]) for one in page["gone"]] == [("w1", "it was stopped")]
        assert page["gone"][0]["at"] <= page["now"] + 1
        app.start_workers(1, name="w1")
        page_when(monitor, "workers", lambda page: page["workers"] and not page["gone"])
        monitor.close()


def test_what_others_have_written_is_bounded(shared_app, monitor):
    name = "<script>alert(1)</script>" + "x" * 500
    handle = shared_app.task(fails, name=name).delay("</script>\x1b[31m\ud800" + "y" * 5000)
    handle.get(propagate=False)
    page = page_when(monitor, "tasks", lambda page: page["rows"][0]["state"] == "FAILURE", {"limit": 1})
    (row,) = page["rows"]
    assert row["task"].startswith("<script>")
    assert len(row["task"]) <= 200
    assert len(row["error"]) <= 300
    call = monitor.page("call", {"id": handle.id})
    assert len(json.dumps(call)) < 300_000


def test_read_only_does_nothing(shared_app, gate):
    monitor = Monitor(shared_app, readonly=True)
    handle = shared_app.task(hold, name="kept.hold").delay(gate.path)
    assert monitor.act("terminate", {"id": handle.id}) == {
        "ok": False,
        "said": "this dashboard is read-only",
        "workers": {},
    }
    assert monitor.page("call", {"id": handle.id})["actions"] == []
    assert handle.state != "REVOKED"
    gate.open()
    handle.get()
    monitor.close()
