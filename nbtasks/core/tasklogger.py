"""Loggers for tasks: what is logged through one says which call it comes from."""

from __future__ import annotations

import logging
from typing import Any

from .context import current_call

#: Parent of the loggers below; workers give it a handler and a level.
TASK_LOGGER = "nbtasks.task"


class CallFilter(logging.Filter):
    """Gives each record ``task_name`` and ``task_id``, for formats that name them; None outside a call."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        call = current_call()
        record.task_name = call.name if call is not None else None
        record.task_id = call.id if call is not None else None
        return True


class TaskLogger(logging.Logger):
    """A logger of tasks; where it arrives in a worker with a function, it is one there, too."""

    def __reduce__(self) -> Any:
        return get_task_logger, (self.name,)


_FILTER = CallFilter()


def get_task_logger(name: str) -> logging.Logger:
    """Return the logger of a name, whose records know their call, and which workers show from INFO on.

    Where a task runs as a plain function, it is a logger like any other.

    Args:
        name: mostly ``__name__``.
    """
    logger, parent = logging.getLogger(name), logging.getLogger(TASK_LOGGER)
    if logger is not parent and logger.parent is logging.getLogger():
        # As in Celery: its name stays, and a task's loggers can be told from others.
        logger.parent = parent
    if type(logger) is logging.Logger:
        # It may be there already, and others hold it.
        logger.__class__ = TaskLogger
    logger.addFilter(_FILTER)
    return logger
