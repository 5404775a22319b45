"""Options of Celery's that mean nothing here, each with what to say instead."""

from __future__ import annotations

from .errors import ConfigError

_BY_QUEUE = "calls go to a queue by its name: say queue=..., and start a worker with -Q for it"
_BY_APP = (
    "calls go through the task's App, which has one connection: make the task with another App, @app.task"
)
_INSTEAD = {
    "serializer": "arguments and results are always pickled, and signed; leave it out",
    "compression": "leave it out; large values travel apart, each only once",
    "exchange": _BY_QUEUE,
    "exchange_type": _BY_QUEUE,
    "routing_key": _BY_QUEUE,
    "routing_type": _BY_QUEUE,
    "delivery_mode": "the server keeps every call until it has ended; leave it out",
    "mandatory": "calls wait in their queue until a worker comes; leave it out",
    "immediate": "calls wait in their queue until a worker comes; say expires=... where they shall not",
    "producer": _BY_APP,
    "publisher": _BY_APP,
    "connection": _BY_APP,
    "router": _BY_QUEUE,
    "reply_to": "whoever has submitted a call is told of its end; leave it out",
    "correlation_id": "a call's id is its task_id, which says it all; leave it out",
    "parent_id": "it follows from where a call is submitted; leave it out",
    "root_id": "it follows from where a call is submitted; leave it out",
    "group_id": "it follows from the map or group that a call is in; leave it out",
    "group_index": "it follows from the map or group that a call is in; leave it out",
    "chord": "say chord(header)(body)",
    "add_to_parent": "leave it out",
    "trail": "leave it out",
    "stamped_headers": "say headers={...}: the task finds them in self.request.headers",
    "pydantic": "validate in the task: Model.model_validate(...)",
    "lazy": "leave it out; a task is ready as soon as it is defined",
    "shared": "say nbtasks.task: a task of no App goes through the current one",
    "track_started": "leave it out; it always is",
    "send_events": "leave it out; cards and handles are always told",
    "store_errors_even_if_ignored": "leave it out; errors are always kept",
    "reject_on_worker_lost": "leave it out: a call whose worker dies runs again, or fails with acks_late=False",
    "acks_on_failure": "leave it out; a call that has failed has ended",
    "acks_on_timeout": "leave it out; a call that has failed has ended",
    "acks_on_failure_or_timeout": "leave it out; a call that has failed has ended",
}


def refuse_foreign(name: str) -> None:
    """Raise ConfigError for an option of Celery's that means nothing here; return for any other."""
    if name in _INSTEAD:
        raise ConfigError(f"{name} is Celery's and means nothing here: {_INSTEAD[name]}")
