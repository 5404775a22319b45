"""What tasks print and log: with their calls, and in the log of a worker that was started in a shell."""

from __future__ import annotations

import logging
import re
import textwrap

import pytest

from nbtasks import App, ConfigError, WorkersError, get_task_logger

SOON = 60.0


def talks(name):
    """Task code."""
    import os
    import sys

    from nbtasks import get_task_logger

    print("printed")
    print("begun, ", end="")
    print("ended")
    print("to stderr", file=sys.stderr)
    sys.stdout.buffer.write(b"bytes\n")
    os.system("echo by a program")
    get_task_logger(name).info("logged by the task")
    get_task_logger(name).debug("not to be seen")
    logging.getLogger("some.lib").info("an info of a library")
    logging.getLogger("some.lib").warning("a warning of %s", "a library")
    print("no end", end="")


async def talks_later(name):
    """Task code in an event loop."""
    print("printed")
    get_task_logger(name).info("logged by the task")


@pytest.fixture
def logged(project):
    """``logged(**options)`` returns an App with one worker, and what reads that one's log."""
    opened = []

    def start(**options):
        app = App("logged", include=options.pop("include", ()))
        opened.append(app)
        app.start_workers(1, logfile=str(project / "log"), **options)
        return app, (project / "log").read_text

    yield start
    for app in opened:
        app.close()


def lines_of(text, handle):
    """What the log has of one call: level, text."""
    found = re.findall(r"^\[.*?: (\w+)/Child-0\] (.*)$", text, re.MULTILINE)
    mark = f"{handle.id}]: "
    return [(level, said.partition(mark)[2]) for level, said in found if mark in said]


def test_a_worker_of_a_shell_shows_what_tasks_print_and_log(logged):
    app, log = logged(output="log", loglevel="info")
    handle = app.task(talks).delay("my.module")
    handle.get(timeout=SOON)
    assert lines_of(log(), handle) == [
        ("WARNING", "printed"),
        ("WARNING", "begun, ended"),
        ("WARNING", "to stderr"),
        ("WARNING", "bytes"),
        ("INFO", "logged by the task"),
        ("INFO", "an info of a library"),
        ("WARNING", "a warning of a library"),
        ("WARNING", "no end"),
    ]
    assert "\nby a program\n" in log()
    assert f"talks[{handle.id}]: printed" in log()
    # And all of it is the call's output.
    assert "printed\nbegun, ended\n" in handle.stdout
    for text in ("to stderr", "logged by the task", "an info of a library", "a warning of a library"):
        assert f"{text}\n" in handle.stderr
    assert log().index("no end") < log().index("succeeded in")


def test_the_level_of_the_worker_counts(logged):
    app, log = logged(output="log", loglevel="error")
    handle = app.task(talks).delay("my.module")
    handle.get(timeout=SOON)
    assert lines_of(log(), handle) == []
    assert "logged by the task\n" in handle.stderr


@pytest.mark.parametrize("function", [talks, talks_later])
def test_a_notebooks_own_worker_shows_it_with_the_call_only(function, logged):
    app, log = logged(loglevel="info")
    handle = app.task(function).delay("my.module")
    handle.get(timeout=SOON)
    assert "printed" in handle.stdout
    assert "logged by the task\n" in handle.stderr
    assert "an info of a library" not in handle.stderr
    assert lines_of(log(), handle) == []
    assert "succeeded in" in log()


def test_calls_side_by_side_are_told_apart(logged):
    app, log = logged(output="log", loglevel="info")
    handles = [app.task(talks_later).delay("my.module") for _ in range(5)]
    for handle in handles:
        handle.get(timeout=SOON)
        assert lines_of(log(), handle) == [("WARNING", "printed"), ("INFO", "logged by the task")]


PROJECT = """
    import logging, logging.config
    from nbtasks.signals import after_setup_task_logger, setup_logging

    {connect}
    def own(**kwargs):
        logging.config.dictConfig({{
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {{"own": {{"format": "OWN|%(levelname)s|%(name)s|%(message)s"}}}},
            "handlers": {{"console": {{"class": "logging.StreamHandler", "formatter": "own"}}}},
            "root": {{"handlers": ["console"], "level": "INFO"}},
        }})

    {call}

    @after_setup_task_logger.connect
    def more(logger, **kwargs):
        for handler in logger.handlers:
            handler.setFormatter(logging.Formatter("%(task_name)s says %(message)s"))
"""


@pytest.mark.parametrize(("connect", "call"), [("@setup_logging.connect", ""), ("", "own()")])
def test_the_projects_own_logging_is_respected(connect, call, logged, project):
    module = textwrap.dedent(PROJECT).format(connect=connect, call=call)
    (project / "ownlogging.py").write_text(module)
    app, log = logged(output="log", loglevel="info", include=["ownlogging"])
    handle = app.task(talks).delay("my.module")
    handle.get(timeout=SOON)
    assert "\nOWN|INFO|some.lib|an info of a library\n" in log()
    assert "\nOWN|WARNING|some.lib|a warning of a library\n" in log()
    assert log().count("a warning of") == 1
    if call:
        assert f"talks[{handle.id}]: {__name__}.talks says logged by the task" in log()


def test_a_logger_of_a_task_is_one_like_any_other_elsewhere(caplog):
    logger = get_task_logger("plain.function")
    assert get_task_logger("plain.function") is logger
    with caplog.at_level(logging.INFO, "plain.function"):
        logger.info("said")
    (record,) = caplog.records
    assert (record.name, record.task_name, record.task_id) == ("plain.function", None, None)


def test_a_logfile_that_cannot_be_written_is_said(project):
    with App("logged") as app:
        with pytest.raises(WorkersError, match=r"logfile: .*missing/log' cannot be written"):
            app.start_workers(1, logfile=str(project / "missing" / "log"))
        with pytest.raises(ConfigError, match="output: 'both' is not one of call, log"):
            app.start_workers(1, output="both")
