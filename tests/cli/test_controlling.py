"""``nbtasks inspect``, ``control`` and ``status``: what they print, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from nbtasks import App

PROJECT = """
from nbtasks import App

app = App("proj", namespace="t-control-shell")

@app.task
def add(x, y):
    return x + y
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory, run_folder):
    """``shell("inspect", "ping")`` runs a command of a project with two workers: exit code, output, errors."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "proj.py").write_text(PROJECT)

    def run(*words):
        command = [sys.executable, "-m", "nbtasks", "-A", "proj", "-b", run.broker, *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    with App("one", namespace="t-control-shell") as one, App("two", namespace="t-control-shell") as two:
        one.start_workers(1, name="w1")
        # One that is stopped stays on the list for so long.
        two.start_workers(1, name="w2", queues=["io"], lease=120)
        run.broker = one.connection.url
        run.frozen = two.local_workers.pid
        yield run


def test_status_lists_workers(shell):
    code, out, _ = shell("status")
    assert code == 0
    assert out.splitlines() == ["->  w1: OK", "->  w2: OK", "", "2 nodes online."]


def test_answers_are_one_object_for_programs(shell):
    code, out, _ = shell("inspect", "active_queues", "--json")
    assert code == 0
    assert json.loads(out) == {
        "w1": [{"name": "default", "routing_key": "default"}],
        "w2": [{"name": "io", "routing_key": "io"}],
    }


def test_an_order_is_followed_and_said(shell):
    code, out, _ = shell("control", "pool_grow", "1", "-d", "w1")
    assert (code, out.split()) == (0, ["->", "w1:", "OK", "pool", "will", "grow"])
    code, out, _ = shell("control", "pool_shrink", "9", "-d", "w1", "--json")
    assert code == 1
    assert "one stays" in json.loads(out)["w1"]["error"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("inspect", "activ"), 2, "did you mean 'active'?"),
        (("inspect",), 2, "inspect needs a word: ping, active"),
        (("control",), 2, "control needs a word: shutdown"),
        (("control", "enable_events"), 2, "events are always on"),
        (("control", "time_limit", "proj.add", "soon"), 2, "none for no limit"),
        (("control", "time_limit", "proj.add", "none"), 0, "time limits set"),
        (("control", "rate_limit", "proj.add", "none"), 0, "new rate limit set"),
        (("inspect", "ping", "-d", "w1", "-d", "w2", "-j"), 0, '"w1": {"ok": "pong"}, "w2"'),
        (("control", "rate_limit", "proj.add"), 2, "TASK RATE"),
        (("control", "pool_grow", "many"), 2, "not a whole number"),
        (("control", "pool_grow", "--cold"), 2, "--cold goes with shutdown"),
        (("inspect", "ping", "-d", "nobody"), 69, "no worker 'nobody' is there"),
        (("inspect", "ping", "-d", "w1,nobody"), 1, "->  nobody: no worker of this name is there"),
        (("inspect", "ping", "-d", "w1,nobody", "--json"), 1, '{"w1": {"ok": "pong"}, "nobody": null}'),
        (
            ("status", "-d", "w1,nobody"),
            1,
            "->  w1: OK\n->  nobody: no worker of this name is there\n\n1 node",
        ),
        (("control", "pool_grow", "-d", "w1,nobody"), 69, "no worker 'nobody' is there"),
        (("inspect", "clock"), 2, "that has no meaning here: workers do not count"),
        (("inspect", "memdump"), 2, "let a profiler"),
        (("inspect", "query_task", "nobody", "-d", "w1"), 0, "->  w1: OK\n    - empty -"),
        (("inspect", "--list"), 0, "active_queues  queues that are served"),
        (("control", "--list"), 0, "terminate SIGNAL ID..."),
    ],
)
def test_what_is_wrong_ends_with_its_code(shell, words, code, says):
    found, out, err = shell(*words)
    assert found == code
    assert says in out + err
    assert "Traceback" not in err


def test_a_silent_worker_is_named_and_the_exit_code_says_so(shell):
    os.kill(shell.frozen, signal.SIGSTOP)
    try:
        code, out, _ = shell("inspect", "ping", "--json", "-t", "3")
        assert code == 1
        assert json.loads(out) == {"w1": {"ok": "pong"}, "w2": None}
        code, out, _ = shell("status", "-t", "3")
        assert code == 1
        assert "w2: no answer in 3 s" in out
        assert "1 node online" in out
    finally:
        os.kill(shell.frozen, signal.SIGCONT)


def test_nobody_there_is_its_own_code(nbtasks):
    done = nbtasks("inspect", "ping")
    assert done.returncode == 69
    assert "does not run" in done.stderr


def test_a_worker_scales_itself(project, worker, eventually):
    worker("--autoscale", "3,2", "-n", "scaled")
    with App("looks") as app:
        (said,) = app.control.inspect().conf().values()
        assert (said["autoscale"], said["pool"]) == ([3, 2], "prefork")
        assert len(app.control.inspect().stats()["scaled"]["pool"]["processes"]) == 2
