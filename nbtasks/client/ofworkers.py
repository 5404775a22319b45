"""Functions that the workers have of their own: only a name travels, and it is looked up where the call runs."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, NoReturn

from nbtasks.core import context
from nbtasks.core.errors import ConfigError, NotRegistered
from nbtasks.core.options import TaskOptions
from nbtasks.wire.modules.origin import MAIN, is_shipped

from . import registered
from .definition import Definition

_MOST_NAMED = 8


class Elsewhere:
    """A function by its name: of a task, or of what a module has. There is one for each name.

    Attributes:
        task: the task's name; empty where module and place say it.
    """

    def __init__(self, task: str = "", module: str = "", place: str = "") -> None:
        self.task = task
        self.module = module
        self.place = place
        self.__name__ = self.__qualname__ = task or place
        self.__module__ = module or task.rpartition(".")[0]

    def __repr__(self) -> str:
        return f"<function {self.task or f'{self.module}.{self.place}'} of the workers>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (function_named, (self.task,)) if self.task else (function_at, (self.module, self.place))

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: it is called where it is.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"the code of task {self.task!r} is not here, so it can only be called on workers: delay(), apply_async()"
        )


@functools.lru_cache(4096)
def elsewhere(task: str = "", module: str = "", place: str = "") -> Elsewhere:
    """Return the function of a name; the same one for the same name."""
    return Elsewhere(task, module, place)


class AtHand(Elsewhere):
    """The function of a task by its name, of those only that a worker has: it imports no module to find it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return function_at_hand, (self.task,)


class OptionsElsewhere(TaskOptions):
    """The options of a task whose code is not here: what it has there counts, but for what a call says."""

    def __reduce__(self) -> tuple[Any, ...]:
        return options_named, (self.name,)


class OptionsAtHand(OptionsElsewhere):
    """The same, of a task that a worker has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return options_at_hand, (self.name,)


def _is_of_workers(module: object, include: Iterable[str]) -> bool:
    """Whether workers have a module of their own: it is one of these, or lies in one."""
    return isinstance(module, str) and any(module == one or module.startswith(f"{one}.") for one in include)


def of_workers(task: Definition, include: Iterable[str]) -> Elsewhere | None:
    """Return a task's function by its name, where workers have it of their own; else None."""
    function: Any = task.function
    if isinstance(function, Elsewhere):
        return function
    module, place = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module in MAIN or not isinstance(place, str) or not _is_of_workers(module, include):
        return None
    standing = sys.modules.get(str(module))
    if is_shipped(standing):
        # In a worker, from somebody who has sent it.
        return None
    if _function_of(_at(standing, place)) is function:
        return elsewhere(module=module, place=place)
    known = registered.found(task.name)
    return elsewhere(task.name) if known is not None and known.function is function else None


def _at(module: Any, place: str) -> Any:
    found = module
    for part in place.split("."):
        found = getattr(found, part, None)
    return found


def _function_of(found: Any) -> Any:
    return found.function if isinstance(found, Definition) else found


def function_at(module: str, place: str) -> Any:
    """Return a function of a module, in a worker; named in pickles, so it keeps its name and place.

    Raises:
        NotRegistered: the module is not there, or has none of this name.
    """
    name = f"{module}.{place}"
    try:
        found = _function_of(_at(importlib.import_module(module), place))
    except ModuleNotFoundError as error:
        raise NotRegistered(f"{_missing(name)}: {error}. {_ADVICE}") from error
    if not callable(found):
        raise NotRegistered(
            f"{_missing(name)}: module {module} here is another version, without {place}. {_ADVICE}"
        )
    return found


def function_named(name: str) -> Any:
    """Return the function of a task, in a worker; named in pickles, so it keeps its name and place.

    Raises:
        NotRegistered: there is none.
    """
    return _task_named(name).function


def options_named(name: str) -> TaskOptions:
    """Return the options of a task, in a worker; named in pickles, so it keeps its name and place.

    Raises:
        NotRegistered: there is no such task.
    """
    return _task_named(name).options


def function_at_hand(name: str) -> Any:
    """Return the function of a task that this worker has; named in pickles, so it keeps its name and place.

    Raises:
        NotRegistered: it has none of this name.
    """
    return _task_at_hand(name).function


def options_at_hand(name: str) -> TaskOptions:
    """Return the options of a task that this worker has; named in pickles, so it keeps its name and place.

    Raises:
        NotRegistered: it has none of this name.
    """
    return _task_at_hand(name).options


def _task_at_hand(name: str) -> Definition:
    found = registered.found(name)
    if found is None:
        raise NotRegistered(f"{_missing(name)}{_known(name)} {_ADVICE}")
    return found


def _task_named(name: str) -> Definition:
    found = registered.found(name)
    module, _, place = name.rpartition(".")
    if found is None and module and _is_there(module):
        # Nobody has imported it so far; to do so may register it.
        at_its_place = _at(importlib.import_module(module), place)
        found = registered.found(name)
        if found is None and isinstance(at_its_place, Definition):
            found = at_its_place
    return _task_at_hand(name) if found is None else found


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False


_ADVICE = (
    "Have workers import its module: nbtasks worker -A MODULE, or App(include=[MODULE]) with start_workers()"
)


def _missing(name: str) -> str:
    return f"{'the worker' if context.serving else 'this process'} has no task {name!r}"


def _known(name: str) -> str:
    names = registered.names()
    near = get_close_matches(name, names, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"; it has {', '.join(names[:_MOST_NAMED])}{more}." if names else "; it has none."
