"""Tasks by the names that signatures are stored with: ``package.module.function``."""

from __future__ import annotations

import importlib
import sys

from nbtasks.client import current, registered
from nbtasks.client.definition import Definition
from nbtasks.client.ofworkers import Elsewhere, OptionsElsewhere, elsewhere
from nbtasks.core.errors import ConfigError


def path_of(task: Definition) -> str:
    """Return the name under which a task is found again where its module can be imported."""
    function = task.function
    if isinstance(function, Elsewhere):
        return function.task
    module = getattr(function, "__module__", None) or "__main__"
    return f"{module}.{getattr(function, '__qualname__', task.name)}"


def task_named(name: str) -> Definition:
    """Return the task with a name such as ``package.module.function``; of a notebook's ones their names will do.

    Where its module is not here, it is one that workers have.

    Raises:
        ConfigError: there is none.
    """
    known = registered.found(name)
    if known is not None:
        return known
    module, _, inner = name.rpartition(".")
    found = (
        vars(sys.modules[module or "__main__"]).get(inner) if (module or "__main__") in sys.modules else None
    )
    if found is None and module:
        try:
            found = getattr(importlib.import_module(module), inner, None)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise
            made: Definition = current.rebuild[0](elsewhere(name), OptionsElsewhere(name=name))
            return made
    if not isinstance(found, Definition):
        what = "is no task" if found is not None else "is not there"
        raise ConfigError(
            f"signature of {name!r}: {inner!r} {what} in {module or '__main__'}; say package.module.function of a task"
        )
    return found
