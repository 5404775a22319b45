"""What a task asks for with ``self.retry()`` that is other for the next attempt than it was for this one."""

from __future__ import annotations

import operator
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .context import CurrentCall
from .errors import ConfigError
from .options import TaskOptions
from .refusals import refuse_foreign
from .starttimes import expires_in

#: Options of a call that its next attempt may have of its own.
_CHANGEABLE = ("queue", "priority", "expires", "time_limit", "soft_time_limit")


@dataclass(frozen=True)
class RetryChanges:
    """What is other for the next attempt.

    Attributes:
        call: its arguments, positional and named; None where they stay.
        queue, priority: None where they stay.
        expires_s: seconds from now after which it may not start any more; None where that stays.
        limits: time limits by their names, in seconds.
    """

    call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    queue: str | None = None
    priority: int | None = None
    expires_s: float | None = None
    limits: Mapping[str, float | None] = field(default_factory=dict)


def retry_changes(
    request: CurrentCall, args: Any, kwargs: Any, options: Mapping[str, Any]
) -> RetryChanges | None:
    """Return what is asked for; None where everything stays.

    Raises:
        ConfigError: an option that is unknown, or cannot change between two attempts.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given.keys() - set(_CHANGEABLE):
        refuse_foreign(name)
        raise ConfigError(
            f"self.retry({name}=...): the next attempt of a call can have its own args, kwargs, "
            f"{', '.join(_CHANGEABLE)}; everything else stays. For another call say task.apply_async(...)"
        )
    call = _changed_call(request, args, kwargs)
    if not given and call is None:
        return None
    expires_s = expires_in(given.pop("expires"), time.time()) if "expires" in given else None
    checked = vars(TaskOptions.make(given))
    limits = {name: checked[name] for name in given.keys() & {"time_limit", "soft_time_limit"}}
    queue, priority = (checked[name] if name in given else None for name in ("queue", "priority"))
    return RetryChanges(call, queue, priority, expires_s, limits)


def _changed_call(
    request: CurrentCall, args: Any, kwargs: Any
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    own_args, own = request.args, request.kwargs
    new_args = own_args if args is None else _positional(args)
    new = own if kwargs is None else _named(kwargs)
    same_args = len(new_args) == len(own_args) and all(map(operator.is_, new_args, own_args))
    if same_args and new.keys() == own.keys() and all(new[name] is own[name] for name in own):
        return None
    return new_args, new


def _positional(args: Any) -> tuple[Any, ...]:
    if isinstance(args, (list, tuple)):
        return tuple(args)
    raise ConfigError(
        f"self.retry(args={args!r:.40}): args is a tuple of all positional arguments of the next attempt"
    )


def _named(kwargs: Any) -> dict[str, Any]:
    if isinstance(kwargs, Mapping):
        return dict(kwargs)
    raise ConfigError(
        f"self.retry(kwargs={kwargs!r:.40}): kwargs is a dict of all keyword arguments of the next attempt"
    )
