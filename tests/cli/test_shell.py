"""What is asked of tasks in a shell: results, queues, what waits, versions; and words of Celery's."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from nbtasks import App, TaskRevokedError

PROJECT = """
from nbtasks import App

app = App("proj", namespace="t-shell")

@app.task
def add(x, y):
    print("adding", x, y)
    return x + y

@app.task
def fails(what):
    raise ValueError(what)
"""


@pytest.fixture
def proj(project):
    """A package with its App where Celery's projects have it, and an App here for its calls."""
    package = project / "proj"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "celery.py").write_text(PROJECT)
    with App("here", namespace="t-shell") as app:
        app.check()
        yield app


def add(x, y):
    """Task code."""
    return x + y


def fails(what):
    """Task code."""
    raise ValueError(what)


def test_a_worker_is_started_as_celerys_tutorials_do(proj, worker):
    running = worker(
        "-l", "WARN", "-c", "1", "-Q", "io,cpu", "-n", "w@%h", before=("-A", "proj"), ready=proj.workers
    )
    (info,) = proj.workers()
    assert info.queues == ("io", "cpu")
    assert re.fullmatch(r"w@[\w.-]+", info.name)
    assert "%" not in info.name
    with pytest.raises(ValueError, match="broken"):
        proj.task(fails).apply_async(("broken",), queue="io").get(timeout=60)
    handle = proj.task(lambda: print("seen"), name="prints").apply_async(queue="cpu")
    handle.get(timeout=60)
    assert running.end() == 0
    assert "succeeded" not in running.text
    assert f"WARNING/Child-0] prints[{handle.id}]: seen" in running.text
    assert "raised unexpected: ValueError('broken')" in running.text


@pytest.mark.parametrize("target", ["proj", "proj.celery", "proj.celery:app", "proj.celery.app"])
def test_an_app_is_found_by_every_name_of_it(target, proj, nbtasks):
    done = nbtasks("-A", target, "list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nothing", "there is no module 'nothing'"),
        ("proj/celery.py", "that is a file; name its module, -A proj.celery"),
        ("proj.nothing", "module proj has no App called 'nothing'"),
        ("proj.celery.nothing", "has no App called 'nothing'"),
        ("proj.celery:nothing", "has no App called 'nothing'"),
        ("json", "module json has no App"),
        ("nothing.at.all", "there is no module 'nothing'"),
    ],
)
def test_where_there_is_no_app_one_sentence_says_so(target, said, proj, nbtasks):
    done = nbtasks("worker", "-A", target)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_call_by_name_prints_its_id_alone(proj, nbtasks, worker, eventually):
    running = worker("-c", "1", before=("-A", "proj"))
    assert "[tasks]\n  . proj.celery.add\n  . proj.celery.fails\n" in running.text
    done = nbtasks("-A", "proj", "call", "proj.celery.add", "--args", "[2, 3]")
    assert (done.returncode, done.stderr) == (0, "")
    id = done.stdout.strip()
    assert nbtasks("-A", "proj", "result", id).stdout == "5\n"
    eventually(lambda: f"proj.celery.add[{id}] succeeded" in running.text, "the log has it")
    assert f"Task proj.celery.add[{id}] received" in running.text
    done = nbtasks(
        "call", "proj.celery.add", "--namespace", "t-shell", "-a", "[2]", "-k", '{"y": 8}', "--countdown", "0"
    )
    assert nbtasks("-A", "proj", "result", done.stdout.strip()).stdout == "10\n"
    done = nbtasks("call", "proj.celery.nothing", "--namespace", "t-shell")
    assert done.returncode == 0
    done = nbtasks("-A", "proj", "result", done.stdout.strip())
    assert done.returncode == 1
    assert "proj.celery.nothing" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--args", "2"), 2, "'2' is not a list in JSON"),
        (("--args", "[2"), 2, "is no JSON"),
        (("--kwargs", "[]"), 2, "is not an object in JSON"),
        (("--args", "[1]"), 1, "missing a required argument: 'y'"),
        (("--args", "[1, 2]", "--priority", "urgent"), 1, "priority"),
        (("--args", "[1, 2]", "--countdown", "soon"), 1, "countdown"),
    ],
)
def test_a_wrong_call_is_refused(arguments, code, said, proj, nbtasks):
    done = nbtasks("-A", "proj", "call", "proj.celery.add", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


@pytest.mark.long
def test_results_are_printed_alone(proj, nbtasks):
    proj.start_workers(1)
    handle, bad = proj.task(add).delay(2, 3), proj.task(fails).delay("broken")
    group = proj.task(add).starmap([(1, 2), (3, 4)])
    bad.get(propagate=False, timeout=60)
    group.get(timeout=60)
    done = nbtasks("--app", "proj", "result", handle.id)
    assert (done.returncode, done.stdout) == (0, "5\n")
    done = nbtasks("result", group.id, "--namespace", "t-shell")
    assert (done.returncode, done.stdout) == (0, "[3, 7]\n")
    done = nbtasks("result", bad.id, "-A", "proj")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ValueError: broken" in done.stderr
    assert "in fails" in done.stderr
    done = nbtasks("result", bad.id, "-A", "proj", "--traceback")
    assert done.returncode == 0
    assert "ValueError: broken" in done.stdout
    done = nbtasks("result", handle.id, "-A", "proj", "--json")
    assert json.loads(done.stdout) == {"id": handle.id, "state": "SUCCESS", "result": 5, "traceback": None}
    done = nbtasks("result", "0123456789abcdef0123", "-A", "proj")
    assert done.returncode == 1
    assert "nobody has recorded a call" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_has_not_ended_is_waited_for_as_long_as_is_said(proj, nbtasks):
    waits = proj.task(add).delay(1, 2)
    proj.session.flush()
    done = nbtasks("result", waits.id, "-A", "proj", "--timeout", "0.2s")
    assert done.returncode == 1
    assert waits.id in done.stderr


@pytest.mark.long
def test_a_state_is_printed_at_once(proj, nbtasks, gate, eventually):
    def upload(self, path):
        self.update_state(state="PROGRESS", meta={"current": 2})
        end = time.monotonic() + 120
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.02)

    proj.start_workers(1)
    runs = proj.task(upload, bind=True).delay(gate.path)
    eventually(lambda: runs.state == "PROGRESS", "it runs")
    assert nbtasks("result", runs.id, "-A", "proj", "--state").stdout == "PROGRESS {'current': 2}\n"
    found = json.loads(nbtasks("result", runs.id, "-A", "proj", "--state", "--json").stdout)
    assert found == {"id": runs.id, "state": "PROGRESS", "info": {"current": 2}}
    gate.open()
    runs.get(timeout=60)
    assert nbtasks("result", runs.id, "-A", "proj", "--state").stdout == "SUCCESS\n"


@pytest.mark.long
def test_queues_are_listed_and_purged(proj, nbtasks):
    calls = [proj.task(add).apply_async((1, 2), queue=queue) for queue in ("io", "io", "cpu")]
    proj.session.flush()
    rows = json.loads(nbtasks("-A", "proj", "list", "--json").stdout)
    assert rows == [
        {"queue": "cpu", "unfinished": 1, "workers": []},
        {"queue": "io", "unfinished": 2, "workers": []},
    ]
    assert "io: 2 not ended; no worker" in nbtasks("-A", "proj", "list", "bindings").stdout
    done = nbtasks("-A", "proj", "purge", "-f", "-Q", "io")
    assert (done.returncode, done.stdout) == (0, "2 calls purged from io.\n")
    for call in calls[:2]:
        with pytest.raises(TaskRevokedError):
            call.get(timeout=60)
    assert calls[2].state == "PENDING"
    done = nbtasks("-A", "proj", "purge")
    assert done.returncode == 1
    assert "Revoke up to 1 calls in cpu?" in done.stdout
    assert calls[2].state == "PENDING"
    assert nbtasks("-A", "proj", "purge", "-f", "-X", "cpu").stdout == "No calls purged.\n"


def test_a_report_has_versions_and_no_secrets(proj, nbtasks):
    said = json.loads(nbtasks("-A", "proj", "report", "--json").stdout)
    assert said["packages"]["nbtasks"]
    assert "embedded server" in said["broker"]
    assert said["namespace"] == "t-shell"
    text = nbtasks("report", "-b", "redis://:secret-word@127.0.0.1:1").stdout
    assert "broker: none" in text
    assert "secret-word" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("multi", "start", "3", "-A", "proj"), "systemd or supervisord"),
        (("-A", "proj", "multi", "start", "w1"), "systemd or supervisord"),
        (("worker", "-D"), "stays in the foreground"),
        (("worker", "--detach"), "stays in the foreground"),
        (("worker", "--pidfile=w.pid"), "systemd and supervisord have a word for it"),
        (("worker", "--executable", "python3"), "PYTHON -m nbtasks worker"),
        (("worker", "--soft-time-limit", "5"), "@app.task(soft_time_limit=...)"),
        (("worker", "--purge"), "run `nbtasks purge`"),
        (("worker", "-X", "io"), "name the queues that it serves: -Q"),
        (("worker", "-I", "proj.more"), "App(include=[...])"),
        (("worker", "--autoscale=3,10"), "the most children first"),
        (("worker", "-P", "gevent"), "write the task as `async def`"),
        (("worker", "-P", "nothing"), "'nothing' is not one of prefork, threads, solo"),
        (("worker", "-l", "loud"), "'loud' is not one of debug, info"),
    ],
)
def test_what_is_not_as_in_celery_says_what_to_do(arguments, said, project, nbtasks):
    done = nbtasks(*arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_options_that_change_nothing_say_so(project, worker):
    words = ("-O", "fair", "--without-gossip", "-E", "--prefetch-multiplier=1", "-S", "state.db")
    running = worker("-c", "1", *words, "-l", "20", "-P", "processes")
    assert running.end() == 0
    for name in ("--optimization", "--without-gossip", "--events", "--prefetch-multiplier", "--statedb"):
        assert f"{name} changes nothing" in running.text


def test_options_before_the_command_as_in_celery(proj, nbtasks, project, tmp_path):
    done = nbtasks("-q", "-C", "--workdir", str(project), "-A", "proj", "list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr
    done = nbtasks("--workdir", str(tmp_path / "nowhere"), "-A", "proj", "list")
    assert (done.returncode, "does not exist" in done.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [("-Q", ","), ("--lease", "0"), ("-Q", "a b")])
def test_a_wrong_option_of_a_worker_ends_with_2(proj, nbtasks, arguments):
    assert nbtasks("worker", "-A", "proj", *arguments).returncode == 2
