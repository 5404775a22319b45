"""``task_queues`` and ``task_default_queue``: the queues that workers serve where nobody names others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.options import check_queue
from nbtasks.core.readable import repr_of


def queue_name(value: Any, where: str) -> str:
    """Return a queue's name, of a text or of kombu's Queue.

    Args:
        where: names the place where it stands, for messages.

    Raises:
        ConfigError: it is none.
    """
    try:
        return check_queue(value if isinstance(value, str) else getattr(value, "name", value))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def checked_queues(value: Any) -> tuple[str, ...]:
    """Return the names of queues, given as names, as kombu's queues or as a dict with the names as keys.

    Raises:
        ConfigError: there is none, or what is given is no queue.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ConfigError(
            f"task_queues: {repr_of(value, 60)} is not a list of queues' names, such as ['default', 'io']"
        )
    names = tuple(
        queue_name(one, "task_queues") for one in (value if not isinstance(value, Mapping) else value.keys())
    )
    if not names:
        raise ConfigError(
            "task_queues: there is none in it; leave it out, and workers serve the default queue"
        )
    return names
