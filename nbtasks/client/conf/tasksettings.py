"""What an App's settings say of its tasks: defaults, annotations, routes; and how a task's own options go with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from nbtasks.core.options import TaskOptions

from .annotations import annotated
from .routes import Routes

if TYPE_CHECKING:
    from nbtasks.client.definition import Definition

#: Setting -> the option of tasks that it is where they say nothing.
OF_TASKS = {
    "task_default_queue": "queue",
    "task_default_priority": "priority",
    "task_default_rate_limit": "rate_limit",
    "task_ignore_result": "ignore_result",
    "task_acks_late": "acks_late",
    "task_time_limit": "time_limit",
    "task_soft_time_limit": "soft_time_limit",
}


class TaskSettings:
    """The settings of tasks, as they are at one moment.

    Annotations count before what a task says, that before routes, and those before defaults, as in Celery.

    Attributes:
        zone: of moments that name none; None: this machine's.
    """

    def __init__(self, said: Mapping[str, Any], zone: tzinfo | None) -> None:
        self.zone = zone
        self._defaults = {
            option: said[setting] for setting, option in OF_TASKS.items() if said.get(setting) is not None
        }
        self._annotations = said.get("task_annotations") or ()
        self._routes = Routes(said.get("task_routes"))
        self._unlimited = bool(said.get("worker_disable_rate_limits"))
        self.by_call = self._routes.by_call

    def over(self, task: Definition, own: TaskOptions) -> TaskOptions:
        """Return a task's options with what the settings say of it; ``own`` where that is nothing."""
        values = annotated(self._annotations, task)
        own_or_set = {*own.said, *values}
        routed = {} if self.by_call else self._routes.route(task, (), {}, {})
        for found in (routed, self._defaults):
            values.update({name: one for name, one in found.items() if name not in {*own_or_set, *values}})
        if self._unlimited:
            values["rate_limit"] = None
        _leave_out_unreachable(values, own)
        return own.with_values(values) if values else own

    def route(
        self, task: Definition, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the options of a call with what functions among the routers say of it."""
        found = self._routes.route(task, args, kwargs, dict(given))
        said = {*task.own_options.said, *annotated(self._annotations, task)}
        return {**{name: one for name, one in found.items() if name not in said}, **given}


def _leave_out_unreachable(values: dict[str, Any], own: TaskOptions) -> None:
    """A soft limit for all tasks is none for one that is stopped before."""
    hard, soft = values.get("time_limit", own.time_limit), values.get("soft_time_limit")
    if hard and soft and soft > hard:
        values["soft_time_limit"] = None
