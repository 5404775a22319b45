"""``nbtasks events``: what it prints, for people and for programs, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from nbtasks import App


def double(n):
    """Task code."""
    return 2 * n


def fail(n):
    """Task code."""
    raise ValueError(f"no [red]{n}")


@pytest.fixture(scope="module")
def shell(run_folder):
    """``shell("--dump")`` runs the command where something has happened: exit code, output, errors."""
    with App("events", namespace="t-events-shell") as app:
        app.start_workers(1, name="w1")
        app.task(double, name="pack.double").delay(2).get(60)
        app.task(double, name="pack.double").map(range(5)).get(60)
        with pytest.raises(ValueError, match="no"):
            app.task(fail, name="pack.fail").delay(3).get(60)

        def command(*words):
            where = ["-b", app.connection.url, "--namespace", "t-events-shell"]
            return [sys.executable, "-m", "nbtasks", "events", *where, *words]

        def run(*words):
            done = subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False)
            return done.returncode, done.stdout, done.stderr

        run.app, run.command = app, command
        yield run


@pytest.mark.long
def test_a_dump_is_an_object_a_line(shell):
    code, out, err = shell("--dump", "--since", "start", "--timeout", "1", "--type", "task")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert len(events) == 4 * 7
    assert {event["type"] for event in events} == {
        "task-sent", "task-received", "task-started", "task-succeeded", "task-failed",
    }  # fmt: skip
    assert all(event["uuid"] and event["name"].startswith("pack.") for event in events)


def test_events_are_lines_and_can_be_chosen(shell):
    code, out, _ = shell(
        "--since", "10m", "--timeout", "1", "--type", "task-failed", "--type", "task-sent", "--task", "*.fail"
    )
    assert code == 0
    sent, failed = out.splitlines()
    assert "task-sent         pack.fail[" in sent
    assert failed.endswith("ValueError: no [red]3")
    assert " on w1 in " in failed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-c", "proj.Camera"), "--camera: a camera is five lines of Python"),
        (("--freq", "2.0"), "snapshots(every=...)"),
        (("--maxrate", "5/s"), "snapshots(every=...)"),
        (("-f", "events.log"), "nbtasks events --dump > FILE"),
        (("--pidfile", "x"), "systemd and supervisord"),
        (("--type", "task_failed"), "there are no events 'task_failed'; did you mean 'task-failed'?"),
    ],
)
def test_celerys_words_are_told_what_to_do_instead(shell, words, says):
    code, _, err = shell(*words)
    assert code == 2
    assert says in err


def test_ctrl_c_ends_it_without_a_word(shell):
    process = subprocess.Popen(
        shell.command("--dump", "--since", "start"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert json.loads(process.stdout.readline())["type"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_reader_that_goes_away_ends_it(shell):
    line = " ".join(f"'{word}'" for word in shell.command("--dump", "--since", "start", "--timeout", "1"))
    done = subprocess.run(
        f"{line} | head -n 1", shell=True, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)
    assert done.stderr == ""


@pytest.mark.long
def test_a_terminal_shows_counts_and_the_last_events(shell):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        shell.command("--since", "start", "--timeout", "1"),
        stdout=follower, stderr=subprocess.STDOUT, env={**os.environ, "TERM": "xterm", "COLUMNS": "150"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 65536):
            shown += part
    except OSError:
        pass  # its end, on Linux
    os.close(leader)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "pack.double" in text
    assert "succeeded" in text
    assert "no [red]3" in text
    assert "w1" in text


@pytest.mark.parametrize(
    "words", [("--type", "task-done"), ("--since", "yesterday")], ids=["no type", "no moment"]
)
def test_what_makes_no_sense_is_said(shell, words):
    code, _, err = shell(*words)
    assert code == 2
    assert words[1] in err


def test_where_there_is_no_server_nobody_is_there(home):
    command = [sys.executable, "-m", "nbtasks", "events", "-b", "redis://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 69
    assert done.stderr.startswith("Error: ")
