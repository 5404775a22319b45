"""Tell receivers of signals that calls are submitted. What they put into the headers travels with the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbtasks.core.signal import after_task_publish, before_task_publish

if TYPE_CHECKING:
    from nbtasks.client.definition import Definition

#: Named in the headers of signals as in Celery's; it is no header of the call.
_TASK, _ID = "task", "id"


def is_told() -> bool:
    """Whether anybody is told."""
    return bool(before_task_publish.receivers or after_task_publish.receivers)


def tell_before(task: Definition, given: dict[str, Any], body: tuple[Any, ...]) -> dict[str, Any]:
    """Tell that one call, or one map, is about to be submitted; returns its options with the headers as they are then.

    Args:
        body: arguments by position and by name, as in Celery; of a map both are empty.
    """
    headers = {**(given.get("headers") or {}), _TASK: task.name}
    before_task_publish.send(
        task.name, body=(*body, {}), exchange="", routing_key=_queue(task, given), headers=headers,
        properties={}, declare=[], retry_policy=None,
    )  # fmt: skip
    headers.pop(_TASK, None)
    return {**given, "headers": headers} if headers else given


def tell_after(task: Definition, given: dict[str, Any], body: tuple[Any, ...], id: str) -> None:
    """Tell that it was submitted, and with which id."""
    headers = {**(given.get("headers") or {}), _TASK: task.name, _ID: id}
    after_task_publish.send(
        task.name, body=(*body, {}), exchange="", routing_key=_queue(task, given), headers=headers
    )  # fmt: skip


def _queue(task: Definition, given: dict[str, Any]) -> str:
    return str(given.get("queue") or task.options.queue)
