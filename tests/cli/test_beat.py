"""``nbtasks beat``, and the beat in ``nbtasks worker``."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import redis

from nbtasks import App

PROJECT = """
from nbtasks import App
from nbtasks.signals import beat_embedded_init, beat_init

app = App("proj")
app.conf.beat_schedule = {{"add-often": {{"task": "project.add", "schedule": 0.3, "args": ({first}, 2)}}}}

@app.task
def add(x, y):
    return x + y

@app.on_after_configure.connect
def more(sender, **kwargs):
    {more}

@beat_init.connect
def begun(sender, **kwargs):
    print("beat_init", flush=True)

@beat_embedded_init.connect
def begun_in_worker(sender, **kwargs):
    print("beat_embedded_init", flush=True)
"""
MORE = 'sender.add_periodic_task(3600, add.s(1, 2), name="by hook")'


@pytest.fixture
def beat(project, eventually):
    """``beat("-A", "project")`` starts ``nbtasks beat`` and returns it, with what it has said in ``text()``."""
    started = []

    def start(*arguments):
        log = project / f"beat{len(started)}.log"
        with log.open("wb") as file:
            one = subprocess.Popen(
                [sys.executable, "-m", "nbtasks", "beat", *arguments],
                stdout=file, stderr=subprocess.STDOUT, cwd=project, start_new_session=True,
            )  # fmt: skip
        one.text = log.read_text
        started.append(one)
        eventually(lambda: " ready\n" in log.read_text() or one.poll() is not None, "the beat is ready")
        return one

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
            one.wait()


def names(app):
    return {str(one) for one in app.periodic_tasks()}


@pytest.mark.long
def test_a_beat_puts_what_its_project_declares_and_removes_what_it_declares_no_more(
    project, beat, worker, eventually
):
    (project / "project.py").write_text(PROJECT.format(first=40, more=MORE))
    running = worker("-A", "project", "--no-beat", "-c", "1")
    with App() as app:
        assert app.periodic_tasks() == []
        first = beat("-A", "project", "-s", "schedule.db", "-n", "beat@here")
        assert "-n/--hostname changes nothing: a beat is no worker" in first.text()
        assert (
            "--schedule changes nothing: what is due, and what has run, is kept in the server" in first.text()
        )
        assert "  . add-often" in first.text()
        assert "beat_init" in first.text()
        assert names(app) == {"add-often", "by hook"}
        task = app.periodic_task("add-often")
        assert (task.facts.owner, task.facts.ends_with, task.facts.code) == ("project:proj", "", "")
        eventually(lambda: task.count > 1, "it is fired")
        assert task.last().get(timeout=20) == 42
        due = app.periodic_task("by hook").next_run
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0

        (project / "project.py").write_text(PROJECT.format(first=50, more=MORE))
        second = beat("-A", "project")
        assert app.periodic_task("by hook").next_run == due
        count = task.count
        eventually(lambda: task.count > count + 1, "it is fired anew")
        assert task.last().get(timeout=20) == 52
        second.kill()
        second.wait()

        (project / "project.py").write_text(PROJECT.format(first=50, more="pass"))
        beat("-A", "project")
        assert names(app) == {"add-often"}
    assert running.end() == 0


def test_a_worker_has_a_beat_of_its_own(project, worker, eventually):
    (project / "project.py").write_text(PROJECT.format(first=40, more="pass"))
    running = worker("-A", "project", "-B", "-c", "1", "-l", "info")
    with App() as app:
        eventually(lambda: names(app) == {"add-often"}, "it is put")
        task = app.periodic_task("add-often")
        eventually(lambda: task.count > 1, "it is fired")
        assert task.last().get(timeout=20) == 42
    assert running.end() == 0
    assert "beat_embedded_init" in running.text
    assert "periodic task 'add-often' is due" in running.text


@pytest.mark.long
def test_what_is_declared_comes_back_in_an_emptied_server(project, beat, worker, eventually):
    (project / "project.py").write_text(PROJECT.format(first=40, more="pass"))
    with App() as app, redis.Redis.from_url(app.connection.url) as client:
        beat("-A", "project")
        running = worker("-A", "project", "-c", "1")
        task = app.periodic_task("add-often")
        eventually(lambda: task.count > 1, "it is fired")
        said = app.session.line.keys.said_there("*")
        eventually(lambda: len(client.keys(said)) == 2, "both look whether it is there")
        client.flushall()
        eventually(lambda: task.exists and task.count > 1, "it is fired again")
        assert task.facts.owner == "project:proj"
    assert running.end() == 0


def test_a_run_that_does_not_end_is_told_of_once(project, beat, eventually):
    (project / "project.py").write_text(PROJECT.format(first=40, more="pass"))
    with App() as app:
        running = beat("-A", "project", "-l", "info")
        task = app.periodic_task("add-often")
        eventually(lambda: task.exists and task.skipped > 3, "no worker is there, so due times are left out")
    assert running.text().count("are left out until that has ended") == 1


def test_words_of_celerys_beat(nbtasks):
    done = nbtasks("beat", "--detach")
    assert done.returncode == 2
    assert "a beat stays in the foreground" in done.stderr


def test_a_declaration_that_can_be_nothing_ends_the_beat(project, nbtasks):
    (project / "project.py").write_text(
        "from nbtasks import App\napp = App()\napp.conf.beat_schedule = {'a': {'task': 'x.y', 'schedule': 'soon'}}\n"
    )
    done = nbtasks("beat", "-A", "project")
    assert done.returncode == 1
    assert "'a'" in done.stderr
    assert "not a duration" in done.stderr
