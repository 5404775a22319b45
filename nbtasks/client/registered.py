"""The tasks that were made in this process, by name: what calls by name find here, in a worker and at home."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nbtasks.core import context
from nbtasks.wire.modules.origin import MAIN, is_shipped

if TYPE_CHECKING:
    from .definition import Definition

T = TypeVar("T", bound="Definition")
#: Name -> the tasks of it, the newest last: several Apps may have one of the same name.
_tasks: dict[str, list[weakref.ref[Definition]]] = {}
#: Those of no App that are held by nobody else, for a function has made them, and left.
_kept: dict[str, Definition] = {}
_lock = threading.RLock()


def register(task: T, kept: dict[str, Definition] | None = None) -> T:
    """Remember a task under its name, and return it.

    One of a module that somebody has sent to this worker is not called by name: it is that one's version.
    One of a module stays: those that a function has made, and left, are called by name, too. One of a notebook, which
    may hold much, goes when nobody holds it any more.

    Args:
        kept: those that live as long as the task's App; None where it has none.
    """
    if is_shipped(sys.modules.get(str(getattr(task.function, "__module__", None)))):
        return task
    with _lock:
        known = [ref for ref in _tasks.get(task.name, ()) if ref() is not None]
        _tasks[task.name] = [*known, weakref.ref(task)]
        if getattr(task.function, "__module__", None) not in {None, *MAIN} and not context.serving:
            (_kept if kept is None else kept)[task.name] = task
    return task


def found(name: str, app: object | None = None) -> Definition | None:
    """Return the newest task of a name; with an App only one that is bound to it, or to none."""
    with _lock:
        refs = _tasks.get(name, ())
        for ref in reversed(refs):
            task = ref()
            if task is not None and (app is None or getattr(task, "_app", None) in (None, app)):
                return task
    return None


def names() -> list[str]:
    """Return the names of all that are there, in order."""
    with _lock:
        return sorted(name for name, refs in _tasks.items() if any(ref() is not None for ref in refs))


class RegisteredTasks(Mapping[str, T], Generic[T]):
    """``app.tasks``: the tasks of an App, and those of none, by name."""

    def __init__(self, app: object) -> None:
        self._app = app

    def __getitem__(self, name: str) -> T:
        task: Any = found(name, self._app)
        if task is None:
            raise KeyError(name)
        known: T = task
        return known

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in names() if found(name, self._app) is not None])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<tasks {', '.join(self)}>"


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
