"""Tasks of classes of the user's: what their instances are made of, and how they travel."""

from __future__ import annotations

from inspect import getattr_static
from types import FunctionType
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.keywords import TaskKeywords, meanings
from nbtasks.core.options import TaskOptions

#: Options that are functions of a call's arguments.
_FUNCTIONS = frozenset({"concurrency_key", "unique_key"})


def _function(kind: type, name: str, value: Any) -> Any:
    """Return an option that is a function: it gets a call's arguments, and no task."""
    if isinstance(value, staticmethod):
        value = value.__func__
    if isinstance(value, FunctionType) and value.__code__.co_varnames[:1] == ("self",):
        raise ConfigError(
            f"{kind.__name__}.{name} gets the arguments of a call, and no task: make it a static method"
        )
    return value


def options_of(kind: type, given: dict[str, Any] | None = None) -> TaskOptions:
    """Return the options that a class names as attributes, with ``given`` laid over them.

    Raises:
        ConfigError: a bad value.
    """
    said: dict[str, Any] = {}
    for name in meanings(TaskKeywords):
        value = getattr_static(kind, name, None)
        # What is no property or method: those of every task have the names of some.
        if name in _FUNCTIONS:
            value = _function(kind, name, value)
        elif callable(value):
            continue
        if value is not None and not isinstance(value, property):
            said[name] = value
    # run() gets the task by itself.
    for name in ("bind", "base"):
        said.pop(name, None)
    return TaskOptions.make({**said, **(given or {})})


def changed(kind: type, before: TaskOptions, now: TaskOptions) -> dict[str, Any]:
    """Return those options that have changed and that a class names as attributes: a task's own count before these."""
    return {
        name: value
        for name, value in vars(now).items()
        if name != "said"
        and value != getattr(before, name)
        and not isinstance(getattr_static(kind, name, property()), property)
    }


def check_class(kind: type, base: type) -> None:
    """Raise ConfigError for a class without a ``run()`` of its own."""
    if getattr(kind, "run", None) is getattr(base, "run", None):
        raise ConfigError(
            f"{kind.__name__}() is a task without anything to run: give the class a method run(self, ...), or make a "
            f"function a task of it, @task(base={kind.__name__})"
            if kind is not base
            else "Task() needs a function, Task(function); a class of your own that is derived from it needs run()"
        )


def check_base(kind: Any, base: type) -> None:
    """Raise ConfigError for a ``base=`` that no task can be of."""
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ConfigError(f"base: {kind!r:.60} is no class that is derived from nbtasks.Task")


def called_on_class(what: object) -> TypeError:
    """Return what is said of ``delay()`` that was called on a class, and not on a task of it."""
    return TypeError(
        f"delay({what!r:.40}) was called on a class: call it on a task of that class, "
        "app.register_task(TheClass()).delay(...)"
    )


def of_base(base: Any, function: Any, given: dict[str, Any], app: Any) -> Any:
    """Return a task of a class of the user's that runs a function: ``@task(base=...)``; ``given`` are its options."""
    made = base.__new__(base)
    own = {name: value for name, value in given.items() if name != "bind"}
    made.begin(options_of(base, own), function, bool(given.get("bind")), app)
    made.__init__()
    return made
