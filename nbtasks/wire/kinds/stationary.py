"""What cannot leave its process by its nature, and what to do in its place: one sentence for each kind."""

from __future__ import annotations

import types
import weakref
from typing import Any

#: Classes of the packages redis and valkey that keep a server's password. In some versions they would travel.
_LOGGED_IN_CLASSES = frozenset(
    {
        "AbstractConnection", "AbstractRedis", "Connection", "ConnectionPool", "Redis", "RedisCluster", "Sentinel",
        "Valkey", "ValkeyCluster",
    }
)  # fmt: skip
LOGGED_IN = (
    "stays in this process: it keeps its server's password. Make it inside the task, from what the worker has"
)
_CONNECTED = "is connected from this process only: connect inside the task, and close it there"
_SHELL = (
    "is this notebook's shell, which no worker has (`%magic` and `!command` lines use it, too): "
    "take what you need from it before, and pass that"
)
_WIDGET = (
    "is a widget, which lives in this notebook: pass its .value, and return or print() what it is to show"
)
#: Package and class, or a class derived from it -> what to do.
_BY_NAME = {
    ("IPython", "ExitAutocall"): "ends this notebook, and there is none in a task: `return` from it, or raise an error",
    ("_sitebuiltins", "Quitter"): "ends this program, and a task is another's: `return` from it, or raise an error",
    ("IPython", "InteractiveShell"): _SHELL,
    ("ipywidgets", "Widget"): _WIDGET,
    ("anywidget", "AnyWidget"): _WIDGET,
    ("matplotlib", "FigureCanvasBase"): "draws in this process: pass the figure, or draw inside and return the figure",
    ("sqlite3", "Connection"): _CONNECTED,
    ("sqlite3", "Cursor"): _CONNECTED,
    ("duckdb", "DuckDBPyConnection"): _CONNECTED,
    ("_duckdb", "DuckDBPyConnection"): _CONNECTED,
    ("socket", "socket"): _CONNECTED,
    ("threading", "Thread"): "is a thread of this process: start it inside the task",
    ("multiprocessing", "BaseProcess"): "is a process that this one has started: start it inside the task",
    ("concurrent", "Executor"): "has threads or processes of this process: make it inside the task",
    ("_asyncio", "Future"): "belongs to the event loop here: await it, and pass its result",
    ("asyncio", "Future"): "belongs to the event loop here: await it, and pass its result",
    ("asyncio", "AbstractEventLoop"): "is the event loop of this process: the task has one of its own",
    ("_io", "_IOBase"): "is an open file: pass its path, and open it inside the task",
}  # fmt: skip
_BY_KIND: dict[type, str] = {
    types.GeneratorType: "is a generator, which cannot leave its process: collect its values in a list, list(...)",
    types.AsyncGeneratorType: (
        "is an async generator, which cannot leave its process: collect its values in a list, [x async for x in ...]"
    ),
    types.CoroutineType: "is a coroutine that nobody has awaited: write `await` before the call that makes it",
    types.FrameType: "is a frame of running code: take from it what you need, and pass that",
    types.TracebackType: "is a traceback: pass its text, traceback.format_exc()",
}
_known: weakref.WeakKeyDictionary[type, str | None] = weakref.WeakKeyDictionary()


def is_logged_in(kind: type) -> bool:
    """Whether instances keep a server's password."""
    return _of_class(kind) is LOGGED_IN


def never_travels(value: Any) -> str | None:
    """Return what to do in place of sending a value, where what cannot travel is the value itself and no part of it."""
    said = getattr(type(value), "__stays_here__", None)
    if isinstance(said, str):
        return f"stays in this process: {said}"
    if type(value) is types.MethodType:
        return _SHELL if _of_class(type(value.__self__)) is _SHELL else None
    return _of_class(type(value))


def _of_class(kind: type) -> str | None:
    try:
        return _known[kind]
    except KeyError:
        found = _known[kind] = _looked_up(kind)
        return found


def _looked_up(kind: type) -> str | None:
    for base in kind.__mro__:
        if base in _BY_KIND:
            return _BY_KIND[base]
        module = str(getattr(base, "__module__", ""))
        if base.__name__ in _LOGGED_IN_CLASSES and module.startswith(("redis.", "valkey.")):
            return LOGGED_IN
        said = _BY_NAME.get((module.partition(".")[0], base.__name__))
        if said is not None:
            return said
    return None
