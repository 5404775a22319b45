"""Settings of ``nbtasks worker``: ``--config``, NBTASKS_CONFIG_MODULE, and what lies there for Celery."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nbtasks import App
from nbtasks.local.server import embedded

LIES_HERE = r"celeryconfig.py lies here and is not read, and calls go to unix://"


@pytest.fixture
def configured(project):
    """A celeryconfig.py that names the embedded server, with a worker's settings."""
    held = embedded.acquire()
    (project / "celeryconfig.py").write_text(
        f"BROKER_URL = {held.url!r}\nCELERYD_CONCURRENCY = 1\n"
        "CELERY_IMPORTS = ['of_project']\nnamespace = 'configured'\n"
    )
    (project / "of_project.py").write_text("open('imported', 'w').close()\n")
    yield project
    held.close()


@pytest.mark.parametrize("before", [False, True])
def test_a_worker_reads_the_module_that_config_names(worker, configured, before):
    option = ("--config", "celeryconfig")
    running = worker(*(() if before else option), before=option if before else ())
    assert (configured / "imported").exists()
    assert "concurrency  1 (prefork)" in running.text
    assert "namespace    configured" in running.text
    assert "is not read" not in running.text


def test_the_command_line_counts_before_settings(worker, configured):
    assert "concurrency  2 (prefork)" in worker("--config", "celeryconfig", "-c", "2").text


def test_a_config_that_is_not_there_is_one_sentence(nbtasks):
    run = nbtasks("worker", "--config", "no_such_config")
    assert run.returncode == 1
    assert run.stderr.startswith(
        "Error: NBTASKS_CONFIG_MODULE=no_such_config: there is no module 'no_such_config'"
    )
    assert run.stderr.count("\n") == 1


def test_a_worker_says_that_it_does_not_read_what_lies_there(worker, configured):
    assert LIES_HERE.replace("\\", "") in worker("-c", "1").text


SCRIPT = """
import warnings
from nbtasks import App
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for _ in range(2):
        with App() as app:
            {set_up}
            app.connection
print("\\n".join(str(one.message) for one in said))
"""


def said_by(project, set_up="", **environment):
    """Return what a script of two Apps is told."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(set_up=set_up)],
        capture_output=True,
        text=True,
        cwd=project,
        timeout=60,
        check=True,
        env={**os.environ, **environment},
    )
    return run.stdout.strip()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"CELERY_BROKER_URL": "redis://elsewhere/1"},
            "CELERY_BROKER_URL is not read, and calls go to unix://",
        ),
        (
            {"CELERY_BROKER_URL": "amqp://guest@host//"},
            "CELERY_BROKER_URL is not read, and calls go to unix://",
        ),
        (
            {"CELERY_BROKER_WRITE_URL": "redis://:s3cr3t@one"},
            "CELERY_BROKER_WRITE_URL is not read, and calls go to unix://",
        ),
        (
            {"CELERY_RESULT_BACKEND": "db+postgresql://u:s3cr3t@host"},
            "CELERY_RESULT_BACKEND is not read, and calls go to unix://",
        ),
        ({"CELERY_RESULT_BACKEND": "rpc://"}, ""),
        ({"CELERY_RESULT_BACKEND": "redis://one/2", "NBTASKS_BROKER": "redis://one/1"}, ""),
        ({"CELERY_CONFIG_MODULE": "proj.conf"}, "CELERY_CONFIG_MODULE=proj.conf is not read"),
        ({"CELERY_BROKER_URL": "redis://one", "NBTASKS_BROKER": "redis://one/1"}, ""),
        (
            {
                "CELERY_BROKER_URL": "sentinel://a;sentinel://b",
                "NBTASKS_BROKER": "sentinel://b,a?master_name=m",
            },
            "",
        ),
        (
            {
                "CELERY_BROKER_URL": "amqp://me@one",
                "CELERY_RESULT_BACKEND": "redis://two/1",
                "NBTASKS_BROKER": "amqp://one",
                "NBTASKS_BACKEND": "redis://two",
            },
            "",
        ),
        (
            {
                "CELERY_BROKER_URL": "redis://two",
                "NBTASKS_BROKER": "amqp://one",
                "NBTASKS_BACKEND": "redis://two/1",
            },
            "",
        ),
        (
            {
                "CELERY_BROKER_URL": "amqp://two",
                "NBTASKS_BROKER": "amqp://one",
                "NBTASKS_BACKEND": "redis://two",
            },
            "CELERY_BROKER_URL is not read, and calls go to amqp://one over redis://two",
        ),
        (
            {"NBTASKS_BACKEND": "redis://:s3cr3t@one"},
            "NBTASKS_BACKEND is not followed, and calls go to unix://",
        ),
        (
            {"NBTASKS_BACKEND": "redis://two", "NBTASKS_BROKER": "redis://one"},
            "NBTASKS_BACKEND is not followed, and calls go to redis://one, which keeps results, too",
        ),
        ({"NBTASKS_BACKEND": "redis://one", "NBTASKS_BROKER": "redis://one"}, ""),
    ],
)
def test_variables_of_celerys_are_never_ignored_in_silence(project, environment, said):
    text = said_by(project, **environment)
    assert text.startswith(said)
    assert text.count("\n") == 0
    assert bool(text) == bool(said)


def test_a_celeryconfig_is_never_ignored_in_silence(configured):
    assert said_by(configured).startswith(LIES_HERE.replace("\\", ""))
    assert said_by(configured, "app.config_from_object('celeryconfig')") == ""
    assert said_by(configured, NBTASKS_CONFIG_MODULE="celeryconfig") == ""


def test_every_app_reads_the_module_that_the_environment_names(configured, written_modules, monkeypatch):
    written_modules.update({"celeryconfig", "of_project"})
    monkeypatch.setenv("NBTASKS_CONFIG_MODULE", "celeryconfig")
    with App() as app:
        assert app.connection.namespace == "configured"
        assert app.conf.worker_concurrency == 1


LOGGED = """
from nbtasks import App, get_task_logger

app = App("logged", namespace="t-logged")
app.conf.update(
    CELERYD_LOG_FORMAT="LINE %(levelname)s %(message)s",
    CELERYD_TASK_LOG_FORMAT="TASK %(task_name)s %(task_id)s %(asctime)s %(levelname)s %(message)s",
    worker_task_log_datefmt="then",
    CELERY_REDIRECT_STDOUTS_LEVEL="INFO",
    task_default_queue="shown",
)

@app.task
def speaks():
    print("printed")
    get_task_logger(__name__).warning("logged %s", 5)
"""


@pytest.mark.long
def test_lines_of_the_log_are_as_settings_say(worker, project, nbtasks, eventually):
    (project / "logged.py").write_text(LOGGED)
    running = worker("-A", "logged", "-c", "1")
    assert "  queues       shown\n" in running.text
    id = nbtasks("-A", "logged", "call", "logged.speaks").stdout.strip()
    assert nbtasks("-A", "logged", "result", id).returncode == 0
    assert running.end() == 0
    lines = running.text.splitlines()
    assert f"TASK logged.speaks {id} then INFO printed" in lines
    assert f"TASK logged.speaks {id} then WARNING logged 5" in lines
    assert any(line.startswith(f"LINE INFO Task logged.speaks[{id}] succeeded") for line in lines)


@pytest.mark.long
def test_prints_stay_with_their_calls_where_settings_say_so(worker, project, nbtasks):
    (project / "logged.py").write_text(LOGGED.replace('STDOUTS_LEVEL="INFO"', "STDOUTS=False"))
    running = worker("-A", "logged", "-c", "1")
    id = nbtasks("-A", "logged", "call", "logged.speaks").stdout.strip()
    assert nbtasks("-A", "logged", "result", id).returncode == 0
    assert running.end() == 0
    assert "printed" not in running.text


SETTLED = """
import time
from nbtasks import App, SoftTimeLimitExceeded, shared_task

app = App("settled", namespace="t-settled")
app.conf.update(
    task_routes={"settled.inner": {"queue": "inner"}},
    task_annotations={"settled.slow": {"soft_time_limit": 0.2}},
    task_default_queue="outer",
)

@shared_task
def inner():
    return "inner"

@app.task
def outer():
    call = inner.delay()
    return [call.queue, call.get(timeout=60)]

@app.task
def slow():
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        return "stopped"
"""


@pytest.mark.long
def test_a_workers_tasks_follow_the_settings_of_its_project(worker, project, nbtasks):
    (project / "settled.py").write_text(SETTLED)
    worker("-A", "settled", "-c", "2", "-Q", "outer,inner")

    def run(name, *options):
        id = nbtasks(*options, "call", name, "--queue", "outer").stdout.strip()
        return nbtasks(*options, "result", id).stdout.strip()

    assert run("settled.outer", "-A", "settled") == "['inner', 'inner']"
    # Who has only the names says nothing of limits: the worker's settings do.
    there = ("--namespace", "t-settled")
    id = nbtasks("call", "settled.slow", "--queue", "outer", *there).stdout.strip()
    assert nbtasks("result", id, *there).stdout.strip() == "stopped"


@pytest.mark.parametrize("command", ["worker", "status", "purge"])
def test_a_broker_of_another_kind_is_one_sentence(nbtasks, command):
    run = nbtasks(command, "-b", "stomp://key:s3cr3t@h")
    assert run.returncode == 1
    assert run.stderr.startswith(
        "Error: broker: stomp:// (STOMP, as of ActiveMQ) is not a URL that nbtasks knows: "
    )
    assert run.stderr.count("\n") == 1
    assert "s3cr3t" not in run.stdout + run.stderr


def test_a_worker_serves_a_socket_in_celerys_words(worker, idle_app):
    url = idle_app.engine.session.connection.url
    worker("-c", "1", "-b", url.replace("unix://", "redis+socket://"))
    assert idle_app.task(abs).delay(-3).get(timeout=60) == 3
