"""``task_annotations``: options of tasks that the configuration sets over those of the code, as Celery has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.options import TaskOptions
from nbtasks.core.readable import repr_of

_SETTING = "task_annotations"
_HOOKS = frozenset({"before_start", "on_success", "on_failure", "on_retry", "after_return", "run"})
#: They decide what a task is, not how it runs.
_OF_THE_CODE = frozenset({"name", "bind", "base"})


def checked_annotations(value: Any) -> tuple[Any, ...]:
    """Return annotations as a tuple of mappings, or of objects with a method ``annotate``.

    Raises:
        ConfigError: an option is none of a task, or its value is wrong.
    """
    if value is None:
        return ()
    found = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return tuple(one if hasattr(one, "annotate") else _checked_map(one) for one in found)


def annotated(annotations: Iterable[Any], task: Any) -> dict[str, Any]:
    """Return the options that annotations set for a task.

    What they say under the task's name comes first, and what they say of all, under ``*``, is laid over it: so does
    Celery.
    """
    said: dict[str, Any] = {}
    for of_which in (_own, _of_all):
        for one in annotations:
            said.update(of_which(one, task))
    return said


def _own(one: Any, task: Any) -> Mapping[str, Any]:
    if not isinstance(one, Mapping):
        return _asked(one.annotate, "annotate", task)
    own: Mapping[str, Any] = one.get(task.name, {})
    return own


def _of_all(one: Any, _: Any) -> Mapping[str, Any]:
    if isinstance(one, Mapping):
        of_all: Mapping[str, Any] = one.get("*", {})
        return of_all
    return _asked(one.annotate_any, "annotate_any") if hasattr(one, "annotate_any") else {}


def _asked(method: Callable[..., Any], name: str, *task: Any) -> dict[str, Any]:
    where = f"{_SETTING}: {name}()"
    return checked_options(method(*task) or {}, where)


def _checked_map(given: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ConfigError(
            f"{_SETTING}: {repr_of(given, 60)} is not a dict of tasks' names and options, such as "
            '{"proj.tasks.add": {"rate_limit": "10/s"}, "*": {"max_retries": 5}}'
        )
    return {name: checked_options(options, f"{_SETTING}: {name!r}") for name, options in given.items()}


def checked_options(options: Any, where: str) -> dict[str, Any]:
    """Return checked options of a task, for settings that name some.

    Raises:
        ConfigError: as :func:`checked_annotations`.
    """
    if not isinstance(options, Mapping):
        raise ConfigError(
            f"{where}: {repr_of(options, 60)} is not a dict of a task's options, such as "
            '{"rate_limit": "10/s"}'
        )
    for name in options:
        _refuse_others(name, where)
    try:
        made = TaskOptions.make(options)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return {name: getattr(made, name) for name in made.said}


def _refuse_others(name: Any, where: str) -> None:
    if name in _HOOKS or str(name).startswith("@"):
        raise ConfigError(
            f"{where}: {name} is code, and settings set options only: say it in a class, @task(base=...), or connect a "
            "function to a signal, such as task_failure"
        )
    if name in _OF_THE_CODE:
        raise ConfigError(f"{where}: {name} is said where the task is made, @task({name}=...)")
