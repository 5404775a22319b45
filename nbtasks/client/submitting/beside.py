"""What is said of a call beside its arguments and its task's options: its id, its headers, a name for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import ConfigError, UnknownCall
from nbtasks.core.ids import MOST_ID, batch_of, check_own_id
from nbtasks.core.refusals import refuse_foreign

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine

#: Characters of headers, as JSON.
_MOST_HEADERS = 64 * 1024
#: Words of Celery's about a broker that cannot be reached at a submit.
_RETRY_POLICY = frozenset({"max_retries", "interval_start", "interval_step", "interval_max", "retry_errors"})


@dataclass(frozen=True)
class Beside:
    """As it is said.

    Attributes:
        task_id: the call's id; empty where it gets one.
        shadow: what cards and logs call the task instead of its name; empty for that.
        headers: what the task finds in ``self.request.headers``.
    """

    task_id: str = ""
    shadow: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)


def take_beside(given: dict[str, Any], single: bool) -> Beside:
    """Take what is about this out of options.

    Args:
        single: it is one call, and no map.

    Raises:
        ConfigError: a bad value, or an option of Celery's that means nothing here.
    """
    for name in given:
        refuse_foreign(name)
    task_id, shadow = given.pop("task_id", None), given.pop("shadow", None)
    headers = given.pop("headers", None)
    _check_retry_policy(given.pop("retry", True), given.pop("retry_policy", None))
    if task_id is not None and not single:
        raise ConfigError(
            "task_id: a map has one id for all its calls, and makes it itself; leave it out, or submit the calls "
            "one by one with apply_async(task_id=...)"
        )
    if shadow is not None and not (isinstance(shadow, str) and 0 < len(shadow) <= MOST_ID):
        raise ConfigError(
            f"shadow: {shadow!r:.60} is not a name; give a text of at most {MOST_ID} characters"
        )
    return Beside("" if task_id is None else check_own_id(task_id), shadow or "", _checked_headers(headers))


def _checked_headers(headers: Any) -> dict[str, Any]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
        raise ConfigError(f"headers: {headers!r:.60} is not a dict with names as keys")
    try:
        packed = json.dumps(dict(headers), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"headers: {error}; they are for texts, numbers, lists and dicts of those. Give other values as arguments"
        ) from None
    if len(packed) > _MOST_HEADERS:
        raise ConfigError(f"headers: {len(packed):,} characters are too many; give large values as arguments")
    read: dict[str, Any] = json.loads(packed)
    return read


def _check_retry_policy(retry: Any, policy: Any) -> None:
    """Check what Celery asks for where the broker does not answer: here a call is handed over as soon as it does."""
    if not isinstance(retry, bool):
        raise ConfigError(
            f"retry: {retry!r:.40} is neither True nor False. For how often a call that fails is run again say "
            "max_retries=... or retries=..."
        )
    if policy is not None and not (isinstance(policy, Mapping) and policy.keys() <= _RETRY_POLICY):
        raise ConfigError(
            f"retry_policy: {policy!r:.60} is not a dict of {', '.join(sorted(_RETRY_POLICY))}. It is about a broker "
            "that does not answer; for calls that fail say retries=... and retry_backoff=... at the task"
        )


def refuse_known(engine: Engine, task_id: str) -> None:
    """Raise ConfigError where there is a call already with an id that somebody gives: its result never changes."""
    try:
        batch = engine.adopt(batch_of(task_id))
    except UnknownCall:
        return
    raise ConfigError(
        f"task_id: {task_id!r} is that of a call of {batch.name} which is {batch.state(0)}, and a result never "
        f"changes. Give each call an id of its own; AsyncResult({task_id!r}) is the handle of that one"
    )
