"""Events of calls that do not simply succeed, and of workers: retried, revoked, killed; and what is not ours."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import sys

import pytest
import redis

from nbtasks import App, TaskRevokedError, chain
from tests.client.test_events import SOON, double, fail, types, until


def wait_at(gate_path, pid_path=None):
    """Task code: say who runs it, then wait for the gate."""
    import os
    import time
    from pathlib import Path

    if pid_path:
        with Path(pid_path).open("a") as file:
            file.write(f"{os.getpid()}\n")
    while not Path(gate_path).exists():
        time.sleep(0.01)


def nap(seconds):
    """Task code."""
    import time

    time.sleep(seconds)


def succeed_the_second_time(path):
    """Task code."""
    from pathlib import Path

    if not Path(path).exists():
        Path(path).touch()
        raise OSError("not yet")


@pytest.fixture
def stream(app):
    with app.events(timeout=SOON) as stream:
        yield stream


@pytest.fixture
def server(app):
    """The server itself, as anybody sees it who may write there."""
    path = app.connection.url.removeprefix("unix://")
    with redis.Redis(unix_socket_path=path.partition("?")[0]) as client:
        yield client


def key_of_events(app):
    return f"nb:{{{app.connection.namespace}:0}}:ev"


def test_a_retry_is_told_between_two_starts(shared_app, tmp_path):
    with shared_app.events("task", timeout=SOON) as stream:
        task = shared_app.task(
            succeed_the_second_time, retries=1, autoretry_for=(OSError,), retry_backoff=False
        )
        handle = task.delay(str(tmp_path / "second"))
        handle.get(SOON)
        events = until(stream, {"task-succeeded"}, handle.id)
    assert types(events) == [
        "task-sent", "task-received", "task-started", "task-retried", "task-received", "task-started",
        "task-succeeded",
    ]  # fmt: skip
    retried = events[3]
    assert "not yet" in retried.exception
    assert [event.attempt for event in events] == [1, 1, 1, 1, 2, 2, 2]
    assert events[-1].retries == 1


def test_what_never_starts_is_told_as_revoked_once(shared_app):
    with shared_app.events("task", timeout=SOON) as stream:
        handle = shared_app.task(double, name="pack.late").apply_async((1,), countdown=600)
        handle.revoke()
        after = shared_app.task(double).delay(2)
        after.get(SOON)
        events = until(stream, {"task-succeeded"})
    own = [event for event in events if event.uuid == handle.id]
    assert types(own) == ["task-sent", "task-revoked"]
    assert own[1].name == "pack.late"
    assert own[0].eta is not None


def test_what_is_stopped_while_it_runs_is_told_as_revoked_once(shared_app, gate):
    with shared_app.events("task", timeout=SOON) as stream:
        handle = shared_app.task(wait_at).delay(gate.path)
        until(stream, {"task-started"}, handle.id)
        handle.revoke(terminate=True)
        with pytest.raises(TaskRevokedError):
            handle.get(SOON)
        after = shared_app.task(double).delay(2)
        events = until(stream, {"task-succeeded"})
    assert types([event for event in events if event.uuid == handle.id]) == ["task-revoked"]
    assert after.get(SOON) == 4


def test_each_end_of_a_map_that_is_revoked_is_told_once(shared_app, eventually):
    with shared_app.events(["task-succeeded", "task-revoked"], timeout=SOON) as stream:
        result = shared_app.task(nap).map([0.005] * 400, chunk=5)
        eventually(lambda: any(one.state == "SUCCESS" for one in result), "some have ended")
        result.revoke()
        states = collections.Counter(one.state for one in result)
        eventually(lambda: all(one.ready() for one in result), "all have ended")
        states = collections.Counter(one.state for one in result)
        seen = collections.defaultdict(list)
        for event in stream:
            if event.batch == result.id:
                seen[event.index].append(event.type)
                if len(seen) == 400:
                    break
    assert {len(types) for types in seen.values()} == {1}
    told = collections.Counter(types[0] for types in seen.values())
    assert told == {"task-succeeded": states["SUCCESS"], "task-revoked": states["REVOKED"]}
    assert len(told) == 2


def test_what_a_failure_in_a_workflow_ends_is_told_once(shared_app):
    with shared_app.events("task", timeout=SOON) as stream:
        steps = chain(
            shared_app.task(fail, name="pack.first").s(1), shared_app.task(double, name="pack.second").s()
        )
        handle = steps.delay()
        with pytest.raises(ValueError, match="no 1"):
            handle.get(SOON)
        found = until(stream, {"task-failed"}, handle.id)
        after = shared_app.task(double).delay(2)
        found += [event for event in until(stream, {"task-succeeded"}) if event.uuid == handle.id]
    assert after.get(SOON) == 4
    assert types(found) == ["task-sent", "task-failed"]
    assert found[1].name == "pack.second"


def test_a_map_that_reads_its_items_is_told_as_sent_when_it_has_them_all(shared_app):
    with shared_app.events(["task-sent", "task-succeeded"], timeout=SOON) as stream:
        result = shared_app.task(double).map(n for n in range(500))
        result.get(SOON)
        seen = collections.Counter()
        for event in stream:
            if event.batch == result.id:
                seen[event.type] += 1
                if sum(seen.values()) == 1_000:
                    break
    assert seen == {"task-sent": 500, "task-succeeded": 500}


def test_the_runs_of_a_periodic_task_are_told(shared_app):
    with shared_app.events("task", task="pack.often", timeout=SOON) as stream:
        periodic = shared_app.add_periodic_task(0.5, shared_app.task(double, name="pack.often").s(2))
        events = until(stream, {"task-succeeded"})
        periodic.remove()
    assert types(events)[:1] == ["task-sent"]
    assert types(events)[-1] == "task-succeeded"


def test_a_call_that_runs_is_told_before_it_has_ended(shared_app, gate):
    with shared_app.events(["task-started"], timeout=SOON) as stream:
        handle = shared_app.task(wait_at).delay(gate.path)
        started = until(stream, {"task-started"}, handle.id)[0]
    assert not handle.ready()
    gate.open()
    handle.get(SOON)
    with shared_app.events(since="start", timeout=SOON) as stream:
        events = until(stream, {"task-succeeded"}, handle.id)
    assert types(events) == ["task-sent", "task-received", "task-started", "task-succeeded"]
    assert events[2].timestamp == started.timestamp
    assert events[3].started == pytest.approx(started.timestamp, abs=0.01)


def test_a_call_whose_process_is_killed_is_told_as_redelivered(app, stream, gate, ledger):
    handle = app.task(wait_at).delay(gate.path, ledger.path)
    until(stream, {"task-started"}, handle.id)
    os.kill(int(ledger.lines()[0]), signal.SIGKILL)
    events = until(stream, {"task-started"}, handle.id)
    gate.open()
    handle.get(SOON)
    events += until(stream, {"task-succeeded"}, handle.id)
    assert types(events) == ["task-redelivered", "task-received", "task-started", "task-succeeded"]
    assert [event.attempt for event in events] == [1, 2, 2, 2]


def test_a_call_that_must_not_run_twice_is_told_as_failed(app, stream, gate, ledger):
    handle = app.task(wait_at, acks_late=False).delay(gate.path, ledger.path)
    until(stream, {"task-started"}, handle.id)
    os.kill(int(ledger.lines()[0]), signal.SIGKILL)
    failed = until(stream, {"task-failed"}, handle.id)[-1]
    assert failed.exception.startswith("WorkerLostError: the process that ran call")


def test_workers_come_and_go(app):
    with app.events("worker", since="start", timeout=SOON) as stream:
        online = until(stream, {"worker-online"})[-1]
        assert online.hostname == app.workers()[0].name
        assert online.concurrency == 2
        assert online.queues == ["default"]
        heartbeat = until(stream, {"worker-heartbeat"})[-1]
        assert heartbeat.hostname == online.hostname
        app.stop_workers()
        offline = until(stream, {"worker-offline"})[-1]
    assert (offline.hostname, offline.reason) == (online.hostname, "it was stopped")
    assert online.uuid is None


def test_a_worker_that_is_killed_is_told_by_another(app, eventually):
    pid = app.workers()[0].pid
    os.kill(pid, signal.SIGKILL)
    with app.events("worker-offline", since="start", timeout=SOON) as stream:
        app.start_workers(1, name="second", lease=1)
        offline = until(stream, {"worker-offline"})[-1]
    assert offline.reason.startswith("no sign of life")


@pytest.mark.long
def test_of_a_worker_that_was_killed_no_heartbeat_is_told(app):
    with App("other") as other, app.events("worker", timeout=SOON) as stream:
        other.start_workers(1, name="killed", lease=12)
        while until(stream, {"worker-heartbeat"})[-1].hostname != "killed":
            pass
        (pid,) = [worker.pid for worker in app.workers() if worker.name == "killed"]
        os.kill(pid, signal.SIGKILL)
        told = until(stream, {"worker-offline"})
    assert told[-1].hostname == "killed"
    # The stream has looked at the workers twice since then: at most once it found that one renewed before its end.
    heartbeats = [one.hostname for one in told if one.type == "worker-heartbeat"]
    assert heartbeats.count("killed") <= 1
    assert heartbeats.count(app.workers()[0].name) >= 2


def test_what_nobody_has_signed_is_refused_and_counted(app, server):
    stream = app.events("task", since="start", timeout=SOON)
    handle = app.task(double).delay(1)
    handle.get(SOON)
    until(stream, {"task-succeeded"}, handle.id)
    entries = server.xrange(key_of_events(app))
    notes = [fields for _, fields in entries if b"h" in fields]
    label_of, label = next(iter(next(fields for _, fields in entries if b"h" not in fields).items()))
    forged = notes[-1][b"h"][:-1] + bytes([notes[-1][b"h"][-1] ^ 1])
    server.xadd(key_of_events(app), {b"h": forged})
    server.xadd(key_of_events(app), {b"h": b"rubbish"})
    server.xadd(key_of_events(app), {b"0123456789abcdef0123": label})
    # What has been signed counts once, however often somebody writes it.
    for fields in (*notes, {label_of: label}):
        server.xadd(key_of_events(app), fields)
    after = app.task(double).delay(2)
    assert {event.uuid for event in until(stream, {"task-succeeded"})} == {after.id}
    assert stream.refused == 3
    stream.close()


def test_what_somebody_else_has_put_in_its_place_holds_up_nothing(app, server):
    server.delete(key_of_events(app))
    server.set(key_of_events(app), "rubbish")
    with app.events(timeout=SOON) as stream:
        handle = app.task(double).delay(1)
        assert handle.get(SOON) == 2
        assert types(until(stream, {"task-succeeded"}, handle.id))[0] == "task-sent"


def test_an_id_after_which_nothing_could_come_holds_up_nobody(app, server):
    with app.events("task-succeeded", timeout=SOON) as before:
        server.xadd(key_of_events(app), {b"x": b"y"}, id="18446744073709551615-18446744073709551615")
        with app.events("task-succeeded", timeout=SOON) as after:
            handle = app.task(double).delay(1)
            assert handle.get(SOON) == 2
            for stream in (before, after):
                assert until(stream, {"task-succeeded"}, handle.id)


def test_who_is_too_slow_is_told_that_something_is_missing(app, server):
    task = app.task(double)
    with app.events(timeout=SOON) as slow:
        task.delay(0).get(SOON)
        first = next(iter(slow))
        for _ in range(20):
            task.delay(1).get(SOON)
        server.xtrim(key_of_events(app), maxlen=3, approximate=False)
        assert server.xlen(key_of_events(app)) == 3
        missed = until(slow, {"stream-missed"})[-1]
    assert first.type == "task-sent"
    assert missed.missed == slow.missed > 10


def test_nothing_is_missing_where_everything_was_read(app, server):
    task = app.task(double)
    with app.events("task-succeeded", timeout=SOON) as stream:
        for _ in range(3):
            handle = task.delay(1)
            handle.get(SOON)
            until(stream, {"task-succeeded"}, handle.id)
            server.xtrim(key_of_events(app), maxlen=0, approximate=False)
    assert stream.missed == 0


@pytest.mark.long
def test_the_stream_is_bounded_by_its_bytes(app, server, eventually):
    for _ in range(60):
        server.xadd(key_of_events(app), {b"x": bytes(2**20)})
    assert server.memory_usage(key_of_events(app), samples=0) > 60 * 2**20
    eventually(
        lambda: server.memory_usage(key_of_events(app), samples=0) < 40 * 2**20, "a worker drops the oldest"
    )
    handle = app.task(double).delay(1)
    handle.get(SOON)
    with app.events("task", since="start", timeout=SOON) as stream:
        assert len(until(stream, {"task-succeeded"}, handle.id)) == 4


def test_readers_do_not_take_events_from_each_other(shared_app):
    with shared_app.events("task-succeeded", timeout=SOON) as one, shared_app.events(timeout=SOON) as other:
        result = shared_app.task(double).map(range(100))
        result.get(SOON)
        for stream in (one, other):
            seen = collections.Counter()
            for event in stream:
                if event.batch == result.id and event.type == "task-succeeded":
                    seen[event.index] += 1
                    if len(seen) == 100:
                        break
            assert set(seen.values()) == {1}


READER = """
import json, sys
from nbtasks import App
with App(namespace=sys.argv[1]) as app:
    print("ready", flush=True)
    for event in app.events("task", since="start", timeout=30):
        print(json.dumps(event.to_dict()), flush=True)
        if event.type == "task-succeeded":
            break
"""


def test_another_process_reads_them(app):
    handle = app.task(double, name="pack.seen").delay(3)
    out = subprocess.run(
        [sys.executable, "-c", READER, app.connection.namespace],
        capture_output=True, text=True, timeout=SOON, check=True,
    )  # fmt: skip
    events = [json.loads(line) for line in out.stdout.splitlines()[1:]]
    assert [event["type"] for event in events] == [
        "task-sent", "task-received", "task-started", "task-succeeded",
    ]  # fmt: skip
    assert {event["uuid"] for event in events} == {handle.id}


def test_a_reader_goes_on_over_a_lost_connection(app, server):
    with app.events("task-succeeded", timeout=SOON) as stream:
        task = app.task(double)
        one = task.delay(1)
        one.get(SOON)
        until(stream, {"task-succeeded"}, one.id)
        server.client_kill_filter(skipme=True, _type="normal")
        other = task.delay(2)
        assert until(stream, {"task-succeeded"}, other.id)
    assert stream.missed == 0


def test_a_closed_stream_ends(shared_app):
    import threading

    stream = shared_app.events("worker-offline")
    found = []
    reader = threading.Thread(target=lambda: found.extend(stream))
    reader.start()
    stream.close()
    reader.join(SOON)
    assert not reader.is_alive()


def test_an_app_that_is_closed_ends_its_streams(home):
    with App("short") as app:
        stream = app.events("worker-offline")
    assert list(stream) == []
