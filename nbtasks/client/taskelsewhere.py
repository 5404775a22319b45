"""A task of which only the name is here: the code is where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.core.errors import ConfigError

from .ofworkers import AtHand, OptionsAtHand, OptionsElsewhere, elsewhere
from .task import Task

if TYPE_CHECKING:
    from . import current
    from .definition import Definition


def task_elsewhere(name: str, app: current.Provider, known: dict[str, Definition]) -> Task:
    """Return a task of an App by its name alone.

    Args:
        known: those that were asked for before.

    Raises:
        ConfigError: that is no name.
    """
    _check(name)
    found = known.get(name)
    if found is None:
        found = known[name] = Task(elsewhere(name), OptionsElsewhere(name=name), app)
    assert isinstance(found, Task)
    return found


def task_at_hand(name: str, app: current.Provider) -> Task:
    """Return a task of an App by its name alone, for who may call tasks and no more: workers import nothing for it.

    Raises:
        ConfigError: that is no name.
    """
    _check(name)
    return Task(AtHand(name), OptionsAtHand(name=name), app)


def _check(name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(
            f"{name!r} is no task's name; write it as the workers' log does, such as 'pack.mod.fetch'"
        )
