"""``nbtasks doctor``."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
import redis

from nbtasks import App
from nbtasks.cli.findings import NOTE, OK, PROBLEM, of_queue, server
from nbtasks.client.workerinfo import WorkerInfo
from nbtasks.core.brokerfacts import BrokerFacts
from nbtasks.local.keyfile import key_path, user_key
from nbtasks.local.server import embedded
from nbtasks.wire.signing import encode_key, key_id, new_key


@pytest.fixture
def lease(project):
    """An embedded server that stays for the whole test."""
    held = embedded.acquire()
    yield held
    held.close()


def lines(done) -> dict[str, str]:
    """The report by what it is about: ``{"broker": "ok valkey 9..."}``, with the line about what to do."""
    found: dict[str, str] = {}
    what = ""
    for line in done.stdout.splitlines():
        status, what = (line[:7].strip(), line[8:24].strip() or what) if line.strip() else ("", "")
        if what:
            found[what] = f"{found.get(what, '')} {status} {line[25:].strip()}".strip()
    return found


def test_a_good_set_up_has_no_problem_and_nothing_is_left(nbtasks, processes):
    done = nbtasks("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("No problem found.\n")
    found = lines(done)
    for what in (
        "Python",
        "platform",
        "state folder",
        "embedded server",
        "signing key",
        "broker",
        "broker memory",
    ):
        assert found[what].startswith("ok "), found
    assert found["workers"].startswith("note none")
    assert "nbtasks worker" in found["workers"]
    assert key_id(user_key()) in found["signing key"]
    assert encode_key(user_key()) not in done.stdout
    assert processes() == {}


def test_workers_are_counted_by_queue(nbtasks, project):
    with App() as app:
        app.start_workers(2, queues=("io", "default"))
        found = lines(nbtasks("doctor"))
    assert found["queue io"] == "ok 1 of 1 workers can take calls from here, 2 slots"
    assert found["queue default"].startswith("ok")


def test_workers_with_another_key_are_a_problem(nbtasks, lease):
    with App(key=encode_key(new_key())) as app:
        app.start_workers(1)
        done = nbtasks("doctor")
    assert done.returncode == 1
    assert lines(done)["queue default"].startswith("problem 0 of 1")
    assert "another key" in lines(done)["queue default"]
    assert "1 problem found" in done.stdout


def test_an_open_key_file_is_a_problem_with_its_fix(nbtasks, home):
    user_key()
    key_path().chmod(0o644)
    done = nbtasks("doctor")
    assert done.returncode == 1
    assert "chmod 600" in lines(done)["signing key"]


def test_an_unreachable_broker_is_a_problem_and_the_rest_is_still_looked_at(nbtasks):
    done = nbtasks("doctor", "-b", "redis://bob:secret@127.0.0.1:1/0")
    assert done.returncode == 1
    found = lines(done)
    assert found["broker"].startswith("problem")
    assert "127.0.0.1:1" in found["broker"]
    assert "Jupyter" in found
    assert "secret" not in done.stdout + done.stderr


def test_a_url_that_is_none_is_a_problem(nbtasks):
    done = nbtasks("doctor", "-b", "localhost")
    assert done.returncode == 1
    assert "redis://" in lines(done)["broker"]


def test_a_server_that_may_evict_is_a_problem_with_its_fix(nbtasks, lease):
    with redis.Redis.from_url(lease.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    done = nbtasks("doctor", "-b", lease.url)
    assert done.returncode == 1
    assert "problem maxmemory-policy allkeys-lru" in lines(done)["broker memory"]
    assert "CONFIG SET maxmemory-policy noeviction" in lines(done)["broker memory"]


def test_a_replica_is_a_problem_with_its_fix(nbtasks, lease):
    with redis.Redis.from_url(lease.url) as client:
        client.replicaof("127.0.0.1", "1")
        done = nbtasks("doctor", "-b", lease.url)
        client.replicaof("NO", "ONE")
    assert done.returncode == 1
    assert lines(done)["broker"].startswith("problem")
    assert "a replica that takes no writes" in lines(done)["broker"]
    assert "name its primary" in lines(done)["broker"]


@pytest.mark.long
def test_a_missing_embedded_server_is_a_problem_only_without_another(nbtasks, lease, monkeypatch):
    monkeypatch.setenv("NBTASKS_SERVER_BINARY", "/nowhere")
    assert lines(nbtasks("doctor"))["embedded server"].startswith("problem")
    done = nbtasks("doctor", "-b", lease.url)
    assert lines(done)["embedded server"].startswith("note")
    assert done.returncode == 0


def facts(**changes) -> BrokerFacts:
    values = {"address": "redis://h", "version": "7.2.4", "flavour": "redis", "policy": "noeviction",
              "maxmemory": 0, "latency_s": 0.001, "clock_offset_s": 0.0}  # fmt: skip
    return BrokerFacts(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "what", "status"),
    [
        ({}, "broker", OK),
        ({"version": "6.0.16"}, "broker", PROBLEM),
        ({"version": "6.2.0"}, "broker", OK),
        ({"policy": "allkeys-lru"}, "broker memory", OK),
        ({"policy": "allkeys-lru", "maxmemory": 2**30}, "broker memory", PROBLEM),
        ({"maxmemory": 2**30}, "broker memory", OK),
        ({"latency_s": 0.2}, "broker latency", NOTE),
        ({"clock_offset_s": -60.0}, "broker clock", NOTE),
    ],
)
def test_what_is_said_of_a_server(changes, what, status):
    found = {finding.what: finding for finding in server(facts(**changes), "test")}
    assert found[what].status == status
    assert bool(found[what].fix) == (status != OK)


def info(**changes) -> WorkerInfo:
    values = {
        "id": "w", "name": "w", "host": "h", "pid": 1, "python": "3.11.7", "key_id": "k", "queues": ("default",),
        "pool": "prefork", "concurrency": 2, "slots_busy": 0, "slots_total": 2, "slots_waiting": 0, "rss_bytes": 1,
        "started_at": 0.0, "seen_at": 1000.0, "processed": 0, "matches": True, "problem": None,
    }  # fmt: skip
    return WorkerInfo(**{**values, **changes})


@pytest.mark.parametrize(
    ("workers", "status", "words"),
    [
        ([info()], OK, "1 of 1 workers"),
        ([info(), info(matches=False, problem="w runs Python 3.12")], NOTE, "runs Python 3.12"),
        ([info(matches=False, problem="w runs Python 3.12")], PROBLEM, "runs Python 3.12"),
        ([info(seen_at=900.0)], NOTE, "last seen 100 s ago"),
    ],
)
def test_what_is_said_of_a_queue(workers, status, words):
    finding = of_queue("default", workers, now=1000.0)
    assert finding.status == status
    assert words in finding.found + finding.fix


def test_a_file_that_somebody_else_keeps_for_himself(nbtasks, tmp_path):
    url = f"sqlite:///{tmp_path}/broker.db"
    assert nbtasks("doctor", "-b", url).returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "broker.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = nbtasks("doctor", "-b", url)
        other.execute("ROLLBACK")
    assert done.returncode == 1
    found = lines(done)
    assert found["broker"].endswith("(-b)")
    assert "takes nothing" in found["writing"]


def test_a_file_of_something_else(nbtasks, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE meta (name TEXT)")
        other.commit()
    found = lines(nbtasks("doctor", "-b", f"sqlite:///{tmp_path}/other.db"))
    assert "is no file of nbtasks'" in found["broker"]
