"""Values of settings, checked where they are set; each as the part of nbtasks sees it that goes by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbtasks.broker.sentinelurl import with_transport_options
from nbtasks.broker.sqliteurl import from_here
from nbtasks.broker.urlparts import in_text
from nbtasks.core.callheader import RESULT_LIMIT_BYTES
from nbtasks.core.durations import LONGEST_S, seconds
from nbtasks.core.errors import ConfigError
from nbtasks.core.options import TaskOptions
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local import connection as connections
from nbtasks.local.backend import check_form

from .annotations import checked_annotations
from .logforms import OF_LOGS, checked_log_form
from .queues import checked_queues
from .routes import checked_routes
from .tasksettings import OF_TASKS
from .zones import checked_zone

DAY_S = 86_400.0
#: What settings are where nobody has set them, those that are not None.
DEFAULTS: dict[str, Any] = {
    "result_expires": DAY_S,
    "result_limit": RESULT_LIMIT_BYTES,
    "imports": (),
    "include": (),
    "listen": False,
    "task_always_eager": False,
    "task_eager_propagates": False,
    "task_default_queue": "default",
    "task_default_priority": 5,
    "task_ignore_result": False,
    "task_acks_late": True,
    "worker_disable_rate_limits": False,
}
#: Celery's words for pools that are there, and for those that are not.
_POOLS = {"processes": "prefork", "celery.concurrency.prefork:TaskPool": "prefork"}
_GREEN = {"eventlet", "gevent"}
#: Setting -> the option of workers that it is.
OF_WORKERS = {
    "worker_concurrency": "concurrency",
    "worker_pool": "pool",
    "worker_max_tasks_per_child": "max_tasks_per_child",
    "worker_max_memory_per_child": "max_memory_per_child",
}


def checked(name: str, value: Any) -> Any:
    """Return a setting as it is kept.

    Raises:
        ConfigError: it is none of the accepted values.
    """
    if name in OF_WORKERS:
        return _of_workers(name, value)
    if name in OF_LOGS:
        return checked_log_form(name, value)
    if name in OF_TASKS:
        return _of_tasks(name, value)
    check = _CHECKS.get(name)
    return value if check is None else check(name, value)


def checked_limit(size: int) -> int:
    """Return the largest size of a result, in bytes.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ConfigError(f"result_limit: {size!r} is not a number of bytes")
    return size


def checked_expiry(value: Any) -> float:
    """Return for how long results are kept, in seconds.

    Raises:
        ConfigError: it is no duration.
    """
    if value is None or (type(value) in {int, float} and value == 0):
        # For ever, as in Celery.
        return LONGEST_S
    return seconds(value, "result_expires", least_s=1.0)


def check_together(settings: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for settings that were said together and do not go together."""
    hard, soft = settings.get("task_time_limit"), settings.get("task_soft_time_limit")
    if hard and soft and soft > hard:
        raise ConfigError(
            f"{where}: task_soft_time_limit, {soft:g} s, is more than task_time_limit, {hard:g} s, so it would never "
            "be reached; give a smaller one"
        )


def of_workers(conf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of workers that settings say."""
    found = {option: conf[name] for name, option in OF_WORKERS.items() if conf.get(name) is not None}
    queues = conf.get("task_queues") or conf.get("task_default_queue")
    if queues:
        found["queues"] = (queues,) if isinstance(queues, str) else queues
    if conf.get("worker_redirect_stdouts") is not None:
        found["output"] = "log" if conf["worker_redirect_stdouts"] else "call"
    return found


def _of_tasks(name: str, value: Any) -> Any:
    if value is None:
        return None
    option = OF_TASKS[name]
    if isinstance(TaskOptions.defaults()[option], bool):
        return _yes_or_no(name, value)
    try:
        return getattr(TaskOptions.make({option: value}), option)
    except ConfigError as error:
        raise ConfigError(f"{name}: {str(error).partition(': ')[2]}") from None


def _of_workers(name: str, value: Any) -> Any:
    if value is None:
        return None
    option = OF_WORKERS[name]
    if option == "pool":
        value = _POOLS.get(value, value) if isinstance(value, str) else value
        if value in _GREEN:
            raise ConfigError(
                f"{name}: {value} is not there: for many calls that wait at once write the task as `async def`, or say "
                "'threads'"
            )
    try:
        WorkerOptions(**{"concurrency": 1, option: value})
    except ConfigError as error:
        raise ConfigError(f"{name}: {str(error).partition(': ')[2]}") from None
    return value


def _url(_name: str, value: Any) -> Any:
    if value is not None:
        value = in_text(value)
        connections.check_url(value)
        value = from_here(value)
    return value


def _yes_or_no(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name}: {value!r:.40} is neither True nor False")
    return value


def _backend(name: str, value: Any) -> Any:
    if value is not None:
        value = in_text(value)
        # Whether it is the broker's own server is looked at once that is known.
        check_form(value, name)
        value = from_here(value)
    return value


def _transport_options(name: str, value: Any) -> Any:
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"{name}: {type(value).__name__} is no dict of options")
    # For what it says of sentinels, whichever these are.
    with_transport_options("sentinel://host", value or {}, name)
    return value


def _namespace(_name: str, value: Any) -> Any:
    if value is not None:
        connections.check_namespace(value)
    return value


def _modules(name: str, value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value or ()
    found = tuple(names) if isinstance(names, Iterable) and not isinstance(names, Mapping) else (None,)
    if not all(isinstance(one, str) and one.replace(".", "x").isidentifier() for one in found):
        raise ConfigError(
            f"{name}: {value!r:.40} is not a list of modules' names, such as ['proj.tasks', 'mail.tasks']"
        )
    return found


def _schedule(name: str, value: Any) -> Any:
    entries = value or {}
    if not isinstance(entries, Mapping) or not all(isinstance(one, str) for one in entries):
        raise ConfigError(f"{name}: {value!r:.60} is not a dict of names, each with a task and a schedule")
    return value


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "broker_url": _url,
    "broker_transport_options": _transport_options,
    "result_backend_transport_options": _transport_options,
    "result_backend": _backend,
    "namespace": _namespace,
    "task_always_eager": _yes_or_no,
    "task_eager_propagates": _yes_or_no,
    "worker_disable_rate_limits": _yes_or_no,
    "worker_redirect_stdouts": _yes_or_no,
    "enable_utc": _yes_or_no,
    "beat_schedule": _schedule,
    "timezone": lambda _, value: checked_zone(value),
    "task_annotations": lambda _, value: checked_annotations(value),
    "task_routes": lambda _, value: checked_routes(value),
    "task_queues": lambda _, value: None if value is None else checked_queues(value),
    "imports": _modules,
    "include": _modules,
    "result_expires": lambda _, value: checked_expiry(value),
    "result_limit": lambda _, value: checked_limit(value),
}
