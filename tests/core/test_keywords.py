"""Options are told once: what can be written, what is checked and what the help says are the same."""

import dataclasses
import inspect
import pydoc
import subprocess
import sys

import pytest

import nbtasks
from nbtasks.core.errors import ConfigError
from nbtasks.core.keywords import CallKeywords, MapKeywords, TaskKeywords, WorkerKeywords, meanings
from nbtasks.core.options import TaskOptions
from nbtasks.core.workeroptions import WorkerOptions


def _fields(kind):
    return {field.name for field in dataclasses.fields(kind)}


def test_what_can_be_written_on_a_task_is_what_is_checked():
    assert meanings(TaskKeywords).keys() == (_fields(TaskOptions) - {"said"}) | {
        "retries",
        "retry_kwargs",
        "base",
    }
    assert TaskOptions.defaults().keys() == meanings(TaskKeywords).keys()


def test_what_can_be_written_for_workers_is_what_is_checked():
    inside = {"concurrency", "include", "lease_s", "log_forms"}
    assert meanings(WorkerKeywords).keys() == (_fields(WorkerOptions) - inside) | {"lease"}
    assert WorkerOptions.make(1, WorkerOptions.defaults()) == WorkerOptions(1)


def test_an_unknown_option_of_workers_is_named(shared_app):
    with pytest.raises(ConfigError, match="unknown option of workers 'treads'; did you mean 'threads'"):
        shared_app.start_workers(1, treads=2)


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (nbtasks.task, TaskKeywords),
        (nbtasks.App.task, TaskKeywords),
        (nbtasks.Task.apply_async, CallKeywords),
        (nbtasks.Task.map, MapKeywords),
        (nbtasks.Task.starmap, MapKeywords),
        (nbtasks.App.start_workers, WorkerKeywords),
    ],
)
def test_help_lists_every_option(function, keywords):
    text = pydoc.render_doc(function, renderer=pydoc.plaintext)
    missing = [name for name, said in meanings(keywords).items() if f"{name}: {said}." not in text]
    assert not missing
    assert inspect.signature(function).parameters.keys() >= meanings(keywords).keys()


def test_signatures_show_the_defaults():
    shown = inspect.signature(nbtasks.task).parameters
    assert shown["priority"].default == 5
    assert shown["max_retries"].default == 3
    assert inspect.signature(nbtasks.Task.map).parameters["on_error"].default == "raise"
    assert "queue=<as the task>" in str(inspect.signature(nbtasks.Task.apply_async))


@pytest.mark.long
def test_types_cost_nothing_at_import():
    # redis-py takes OpenTelemetry along where it is installed, and that has need of them.
    code = "import sys; sys.modules['opentelemetry'] = None; import nbtasks; from nbtasks import App; "
    code += "print('typing_extensions' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "False"
