"""``worker_log_format`` and its siblings: what a line of a worker's log looks like."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.readable import repr_of
from nbtasks.core.workeroptions import LOG_LEVELS

#: Setting -> the name of it in WorkerOptions.log_forms.
OF_LOGS = {
    "worker_log_format": "format",
    "worker_log_datefmt": "datefmt",
    "worker_task_log_format": "task_format",
    "worker_task_log_datefmt": "task_datefmt",
    "worker_redirect_stdouts_level": "prints",
}
_OF_TASKS = {"task_id": "", "task_name": ""}


def checked_log_form(name: str, value: Any) -> Any:
    """Return a setting of the log as it was given.

    Raises:
        ConfigError: a line cannot be made with it.
    """
    if value is None:
        return None
    if name == "worker_redirect_stdouts_level":
        return _level(value)
    if not isinstance(value, str):
        raise ConfigError(f"{name}: {repr_of(value, 60)} is not a text")
    if name.endswith("_format"):
        _check_format(name, value)
    return value


def log_forms(conf: Mapping[str, Any]) -> dict[str, str]:
    """Return what settings say of the log's lines."""
    return {form: conf[name] for name, form in OF_LOGS.items() if conf.get(name) is not None}


def _level(value: Any) -> str:
    text = logging.getLevelName(value) if isinstance(value, int) else value
    level = {"warn": "warning", "fatal": "critical"}.get(str(text).lower(), str(text).lower())
    if level not in LOG_LEVELS:
        raise ConfigError(
            f"worker_redirect_stdouts_level: {repr_of(value, 60)} is not one of {', '.join(LOG_LEVELS)}"
        )
    return level


def _check_format(name: str, value: str) -> None:
    record = logging.LogRecord("nbtasks", logging.INFO, "", 0, "", (), None)
    if name == "worker_task_log_format":
        vars(record).update(_OF_TASKS)
    try:
        logging.Formatter(value).format(record)
    except (ValueError, TypeError, KeyError) as error:
        of_tasks = any(f"'{field}'" in str(error) for field in _OF_TASKS)
        more = "; task_id and task_name are for worker_task_log_format" if of_tasks else ""
        raise ConfigError(
            f"{name}: {value!r:.80} makes no line of a log ({error}): write it as logging.Formatter takes it, with "
            f"%(asctime)s, %(levelname)s, %(processName)s, %(message)s{more}"
        ) from None
