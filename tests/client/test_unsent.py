"""A program ends while its server is away: what could not be handed over is said, and the exit code says it, too."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nbtasks import App, BrokerUnavailable
from tests.broker.conftest import server  # noqa: F401 - a fixture

SOON = 60.0
BEGIN = """
import os, sys, threading, nbtasks
app = nbtasks.App(broker=sys.argv[1])

@app.task
def add(x):
    return x

@app.task
def mul(x):
    return x

def submit():
    return mul.map(range(3)) if "map" in sys.argv else add.delay(0)

def until_told():
    app.session.flush()
    print("ready", flush=True)
    sys.stdin.readline()

add.delay(-1)
until_told()
"""


@pytest.fixture
def end_without(server, home):  # noqa: F811 - the fixture
    """``end_without(code)`` runs a script whose server goes away in the middle; returns what became of it."""
    durable = server("--appendonly", "yes", "--appendfsync", "always")

    def run(code: str, kind: str = "delay", away: bool = True) -> subprocess.CompletedProcess[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + code, durable.url, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n", process.communicate()
        if away:
            durable.stop()
        out, err = process.communicate("go\n", timeout=60)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    run.server = durable
    return run


ENDS = {
    "the last line": ("submit()", 120),
    "sys.exit": ("submit(); sys.exit()", 120),
    "sys.exit with a code": ("submit(); sys.exit(3)", 120),
    "an exception": ("submit(); raise ValueError('odd')", 120),
    "another thread": ("t = threading.Thread(target=submit); t.start(); t.join()", 120),
    "close": ("submit(); app.close()", 1),
    "close that is caught": (
        "submit()\ntry:\n    app.close()\nexcept nbtasks.BrokerUnavailable as e:\n    sys.exit(str(e))",
        1,
    ),
    "with": ("with app:\n    submit()", 1),
    "an exception in with": ("with app:\n    submit()\n    raise ValueError('odd')", 120),
}


@pytest.mark.parametrize(
    "end", [end if end == "sys.exit" else pytest.param(end, marks=pytest.mark.long) for end in ENDS]
)
def test_what_is_lost_at_the_end_of_a_script_is_said(end_without, end):
    code, expected = ENDS[end]
    ended = end_without(code)
    assert ended.returncode == expected, ended.stderr
    assert (
        ended.stderr.count("1 call was accepted and could not be handed over to the broker at unix://") == 1
    )
    assert "1 of add (" in ended.stderr
    assert ("odd" in ended.stderr) == ("odd" in code)


def test_the_calls_of_a_map_are_counted_and_not_listed(end_without):
    ended = end_without("submit()", "map")
    assert ended.returncode == 120
    assert "3 calls were accepted" in ended.stderr
    assert "3 of mul (" in ended.stderr
    assert len(ended.stderr) < 1000


@pytest.mark.parametrize("end", ["sys.exit with a code", "with"])
def test_nothing_is_said_where_everything_was_handed_over(end_without, end):
    code = ENDS[end][0]
    ended = end_without(code, away=False)
    assert "handed over" not in ended.stderr
    assert ended.returncode == (3 if "exit(3)" in code else 0), ended.stderr


def test_a_script_that_had_nothing_to_hand_over_ends_well(end_without):
    ended = end_without("print('done')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


@pytest.mark.long
def test_a_handle_of_what_was_not_handed_over_says_so(end_without):
    code = (
        "handle = submit()\n"
        "try:\n    app.close()\nexcept nbtasks.BrokerUnavailable:\n    pass\n"
        "try:\n    handle.get(timeout=9)\nexcept nbtasks.BrokerUnavailable as error:\n    print(error)\n"
    )
    ended = end_without(code)
    assert ended.returncode == 0
    assert "before this could be handed over" in ended.stdout


def test_a_server_that_comes_back_in_time_gets_all(server, home, eventually):  # noqa: F811 - the fixture
    durable = server("--appendonly", "yes", "--appendfsync", "always")
    app = App(broker=durable.url)
    task = app.task(abs)
    task.delay(-1)
    app.session.flush()
    durable.stop()
    handle = task.delay(-2)
    durable.start()
    app.close()
    with App(broker=durable.url) as again:
        again.start_workers(1)
        assert again.AsyncResult(handle.id).get(timeout=SOON) == 2


def test_an_app_that_was_closed_without_its_server_is_closed(server, home):  # noqa: F811 - the fixture
    durable = server()
    app = App(broker=durable.url)
    task = app.task(abs)
    task.delay(-1)
    app.session.flush()
    durable.stop()
    task.delay(-2)
    with pytest.raises(BrokerUnavailable, match="1 call was accepted and could not be handed over"):
        app.close()
    assert not app.usable
    app.close()
