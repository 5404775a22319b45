"""Locks that a call holds while it runs: what they are called, how many may hold one at once, how that travels."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .errors import ConfigError
from .madeonce import made_once
from .readable import is_kind, name_of, repr_of, text_of
from .wirefields import items, text, whole

#: Who may hold one at once, at most; and characters of a name, locks of a call.
MOST_HOLDERS = 1_000
_MOST_NAME = 1_000
_MOST_LOCKS = 20
#: Characters of what stands for a name at the broker.
_MOST_ID = 150
#: Of what a key is made.
_KEY_TYPES = (str, int, uuid.UUID)

#: Name -> capacity, in order.
Capacities = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Lock:
    """One lock, or semaphore: a name, and how many may hold it at once as far as who asks is concerned."""

    name: str
    capacity: int = 1

    @made_once
    def id(self) -> str:
        """What stands for the name at the broker: without spaces, and not long."""
        quoted = quote(self.name, safe="")
        if len(quoted) <= _MOST_ID:
            return quoted
        return f"{quoted[:60]}~{hashlib.sha256(self.name.encode()).hexdigest()[:40]}"


def check_name(name: Any, what: str = "a lock") -> str:
    """Return the name of a lock.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(name, str) and 0 < len(name) <= _MOST_NAME and _can_be_told(name):
        return name
    raise ConfigError(
        f"{what}: {repr_of(name, 60)} is not a name; give a text of 1 to {_MOST_NAME:,} characters"
    )


def check_capacity(value: Any, what: str = "capacity") -> int:
    """Return how many may hold a lock at once.

    Raises:
        ConfigError: it is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_HOLDERS:
        raise ConfigError(f"{what}: {repr_of(value, 40)} is not a whole number from 1 to {MOST_HOLDERS:,}")
    return value


def check_locks(value: Any) -> Capacities:
    """Return locks of a task, from a name, names, or a dict of names and capacities.

    Raises:
        ConfigError: they are none.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        pairs: Iterable[tuple[Any, Any]] = [(value, 1)]
    elif isinstance(value, Mapping):
        pairs = value.items()
    else:
        try:
            pairs = [one if isinstance(one, tuple) and len(one) == 2 else (one, 1) for one in value]
        except TypeError:
            raise ConfigError(
                f"locks: {repr_of(value, 60)} is not a name, a list of names, or a dict of names and capacities"
            ) from None
    found: dict[str, int] = {}
    for name, capacity in pairs:
        known, most = (
            check_name(name, "locks"),
            check_capacity(capacity, f"locks: the capacity of {name!r:.60}"),
        )
        found[known] = min(most, found.get(known, most))
    if len(found) > _MOST_LOCKS:
        raise ConfigError(f"locks: {len(found)} are too many, a call may hold {_MOST_LOCKS}")
    return tuple(found.items())


def merged(some: Capacities, more: Capacities) -> Capacities:
    """Return both; of a name in both the smaller capacity."""
    return check_locks([*some, *more])


def locks_of(
    task: str,
    fixed: Capacities,
    most: int | None,
    key: Callable[..., Any] | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> tuple[Lock, ...]:
    """Return the locks of one call.

    Args:
        task: the task's name.
        fixed: those of every call.
        most: calls of it that run at once, of those that have the same key.
        key: says which ones these are, from their arguments.

    Raises:
        ConfigError: the key is none, or cannot be found out.
    """
    locks = [Lock(*one) for one in fixed]
    if most is not None:
        name = f"task:{task}"
        if key is not None:
            name += f":{key_of(task, 'concurrency_key', key, args, kwargs)}"
        if all(one.name != name for one in locks):
            locks.append(Lock(name, most))
    return tuple(locks)


def key_of(
    task: str, option: str, key: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str:
    """Return the key of a call as text.

    Raises:
        ConfigError: the function has failed, or has returned something else.
    """
    try:
        found = key(*args, **kwargs)
    except Exception as error:
        raise ConfigError(
            f"{option} of {task} has failed for {_call(args, kwargs)}: {name_of(error)}: {text_of(error, 300)}"
        ) from error
    parts = found if isinstance(found, tuple) and found else (found,)
    for part in parts:
        if not is_kind(part, _KEY_TYPES) or (isinstance(part, str) and not (part and _can_be_told(part))):
            raise ConfigError(
                f"{option} of {task} has returned {repr_of(found, 60)} for {_call(args, kwargs)}; a key is a text that "
                "is not empty, a whole number, or a tuple of such"
            )
    joined = ":".join(quote(str(part), safe="/ ") if len(parts) > 1 else str(part) for part in parts)
    if len(joined) <= _MOST_NAME // 2:
        return joined
    return hashlib.sha256(joined.encode()).hexdigest()


def _can_be_told(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    shown = [repr_of(one, 60) for one in args[:3]]
    shown += [f"{name}={repr_of(value, 60)}" for name, value in list(kwargs.items())[:3]]
    return f"the arguments ({', '.join(shown)})"


def locks_from_wire(value: Any) -> tuple[Lock, ...]:
    """Read what :func:`locks_to_wire` has written.

    Raises:
        ValueError: it makes no sense.
    """
    pairs = [items(one) for one in items(value)]
    if len(pairs) > _MOST_LOCKS + 1 or any(len(pair) != 2 for pair in pairs):
        raise ValueError("these are no locks")
    found = tuple(Lock(text(name), whole(capacity)) for name, capacity in pairs)
    if not all(0 < len(one.name) <= 2 * _MOST_NAME and 1 <= one.capacity <= MOST_HOLDERS for one in found):
        raise ValueError("these are no locks")
    return found


def locks_to_wire(locks: Iterable[Lock]) -> list[list[Any]]:
    """Return locks as JSON types."""
    return [[one.name, one.capacity] for one in locks]
