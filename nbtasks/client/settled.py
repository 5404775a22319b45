"""How a task runs after the settings of its App were looked at. They are looked at again when they have changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from nbtasks.core.durations import seconds

from . import current

if TYPE_CHECKING:
    from nbtasks.core.options import TaskOptions

    from .conf.tasksettings import TaskSettings
    from .definition import Definition


def settings_of(task: Definition) -> TaskSettings | None:
    """Return what the settings of a task's App say of tasks; None where it has none here."""
    app = task.__dict__.get("_app") or current.known()
    conf = getattr(app, "conf", None)
    return None if conf is None else conf.of_tasks


def settled(task: Definition) -> TaskOptions:
    """Return a task's options with what the settings say; the same object until that changes."""
    own, settings = task.own_options, settings_of(task)
    if settings is None:
        return own
    known: tuple[Any, TaskOptions] | None = task.__dict__.get("_settled")
    if known is not None and known[0] is settings:
        return known[1]
    options = settings.over(task, own)
    if known is not None and _is_same(known[1], options):
        options = known[1]
    task.__dict__["_settled"] = (settings, options)
    return options


def _is_same(one: TaskOptions, other: TaskOptions) -> bool:
    return one == other and one.said == other.said


def zone_of(task: Definition) -> tzinfo | None:
    """Return the zone of moments that name none, for calls of a task; None for this machine's."""
    settings = settings_of(task)
    return None if settings is None else settings.zone


def routed(
    task: Definition, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Return the options of a call with what functions among the routers of the task's App say of it."""
    settings = settings_of(task)
    return given if settings is None or not settings.by_call else settings.route(task, args, kwargs, given)


def without_reach(given: Mapping[str, Any], task: Definition, options: TaskOptions) -> dict[str, Any]:
    """Return what leaves out a soft limit that settings have set, and that a call's own limit comes before."""
    hard, soft = given.get("time_limit"), options.soft_time_limit
    if hard is None or soft is None or "soft_time_limit" in {*given, *task.own_options.said}:
        return {}
    return {"soft_time_limit": None} if seconds(hard, "time_limit") < soft else {}
