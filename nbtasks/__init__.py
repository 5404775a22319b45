"""Tasks for notebooks: cells and functions that run on worker processes, with a live card."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbtasks.core import pages
from nbtasks.core.context import current_call, load_client, make_task, progress, track
from nbtasks.core.errors import (
    BackPressure,
    BrokerUnavailable,
    BrokerUnsuitable,
    CallError,
    CellError,
    ChordError,
    ConfigError,
    EmbeddedUnavailable,
    Ignore,
    IncompleteStream,
    LockLost,
    MaxRetriesExceededError,
    NbtasksError,
    NotPicklable,
    NotRegistered,
    OperationalError,
    PayloadTooLarge,
    Reject,
    Retry,
    SignatureMismatch,
    SoftTimeLimitExceeded,
    TaskError,
    TaskRevokedError,
    TimeLimitExceeded,
    TimeoutError,
    UnknownCall,
    ValueLost,
    WireError,
    WorkerLostError,
    WorkersError,
    WouldDeadlock,
)
from nbtasks.core.replacement import replace_by

if TYPE_CHECKING:
    from nbtasks.client.app import App, shared_task, task
    from nbtasks.client.canvas.algebra import chain, chord, group
    from nbtasks.client.canvas.sequence import chunks, xmap, xstarmap
    from nbtasks.client.canvas.signature import Signature, maybe_signature, signature, subtask
    from nbtasks.client.currentapp import current_app
    from nbtasks.client.eager import EagerResult
    from nbtasks.client.group import GroupResult
    from nbtasks.client.locking.locked import locked
    from nbtasks.client.result import AsyncResult
    from nbtasks.client.resultset import ResultSet
    from nbtasks.client.runs.runlist import RunList
    from nbtasks.client.task import Task
    from nbtasks.core.due.crontab import crontab
    from nbtasks.core.outputs import RichOutput
    from nbtasks.core.progressbar import ProgressBar
    from nbtasks.core.tasklogger import get_task_logger
    from nbtasks.jupyter.extension import load_ipython_extension, unload_ipython_extension

#: Loaded when they are asked for: the client needs redis, the extension needs IPython.
_LAZY = {
    "App": "nbtasks.client.app",
    "AsyncResult": "nbtasks.client.result",
    "EagerResult": "nbtasks.client.eager",
    "GroupResult": "nbtasks.client.group",
    "ProgressBar": "nbtasks.core.progressbar",
    "ResultSet": "nbtasks.client.resultset",
    "RichOutput": "nbtasks.core.outputs",
    "RunList": "nbtasks.client.runs.runlist",
    "Signature": "nbtasks.client.canvas.signature",
    "Task": "nbtasks.client.app",
    "chain": "nbtasks.client.canvas.algebra",
    "chord": "nbtasks.client.canvas.algebra",
    "crontab": "nbtasks.core.due.crontab",
    "chunks": "nbtasks.client.canvas.sequence",
    "current_app": "nbtasks.client.currentapp",
    "get_task_logger": "nbtasks.core.tasklogger",
    "group": "nbtasks.client.canvas.algebra",
    "locked": "nbtasks.client.locking.locked",
    "load_ipython_extension": "nbtasks.jupyter.extension",
    "maybe_signature": "nbtasks.client.canvas.signature",
    "shared_task": "nbtasks.client.app",
    "signature": "nbtasks.client.canvas.signature",
    "subtask": "nbtasks.client.canvas.signature",
    "task": "nbtasks.client.app",
    "unload_ipython_extension": "nbtasks.jupyter.extension",
    "xmap": "nbtasks.client.canvas.sequence",
    "xstarmap": "nbtasks.client.canvas.sequence",
}

__version__ = "0.1.0.dev0"

__all__ = [
    "App",
    "AsyncResult",
    "BackPressure",
    "BrokerUnavailable",
    "BrokerUnsuitable",
    "CallError",
    "CellError",
    "ChordError",
    "ConfigError",
    "EagerResult",
    "EmbeddedUnavailable",
    "GroupResult",
    "Ignore",
    "IncompleteStream",
    "LockLost",
    "MaxRetriesExceededError",
    "NbtasksError",
    "NotPicklable",
    "NotRegistered",
    "OperationalError",
    "PayloadTooLarge",
    "ProgressBar",
    "Reject",
    "ResultSet",
    "Retry",
    "RichOutput",
    "RunList",
    "Signature",
    "SignatureMismatch",
    "SoftTimeLimitExceeded",
    "Task",
    "TaskError",
    "TaskRevokedError",
    "TimeLimitExceeded",
    "TimeoutError",
    "UnknownCall",
    "ValueLost",
    "WireError",
    "WorkerLostError",
    "WorkersError",
    "WouldDeadlock",
    "chain",
    "chord",
    "chunks",
    "crontab",
    "current_app",
    "current_call",
    "get_task_logger",
    "group",
    "load_ipython_extension",
    "locked",
    "maybe_signature",
    "progress",
    "shared_task",
    "signature",
    "subtask",
    "task",
    "track",
    "unload_ipython_extension",
    "xmap",
    "xstarmap",
]


def __getattr__(name: str) -> Any:
    if name == "states":
        # A module, as in Celery.
        return import_module("nbtasks.states")
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'nbtasks' has no attribute {name!r}")
    try:
        value = getattr(import_module(module), name)
        if name == "App" and "joblib" in sys.modules:
            import_module("nbtasks.joblib")
    except Exception as error:
        from nbtasks.core.hiding import name_hidden

        name_hidden(error)
        raise
    globals()[name] = value
    return value


def _page_of(what: Any) -> Any:
    return import_module("nbtasks.jupyter.marimopage").page_of(what)


def _show(what: Any) -> None:
    import_module("nbtasks.jupyter.panel.livedashboard").show(what)


def _task_of(function: Any, options: Any) -> Any:
    return __getattr__("Task")(function, options)


def _load_client() -> None:
    import_module("nbtasks.client.app")


def _members_of(members: Any) -> Any:
    _load_client()
    return import_module("nbtasks.client.canvas.handles").members_of(members)


def _replace(request: Any, signature: Any) -> Any:
    _load_client()
    return import_module("nbtasks.client.canvas.replacing").replace(request, signature)


pages.make.append(_page_of)
pages.show.append(_show)
ChordError.handles.append(_members_of)
make_task.append(_task_of)
load_client.append(_load_client)
replace_by.append(_replace)


def __dir__() -> list[str]:
    return __all__
