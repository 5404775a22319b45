"""``@locked("name")``: a task whose calls hold a lock, or a function that takes it while it runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from nbtasks.client.definition import Definition
from nbtasks.client.registered import register
from nbtasks.core.errors import ConfigError
from nbtasks.core.lock import Capacities, check_capacity, check_name, merged

from .applock import AppLock

T = TypeVar("T")
#: Under this name a function says which locks it takes, for those who make a task of it.
_LOCKS = "__nbtasks_locks__"


def locked(name: str, capacity: int = 1) -> Callable[[T], T]:
    """Have what is below hold a lock while it runs: ``@locked("db")``, ``@locked("api", capacity=10)``.

    On a task, above or below ``@task``, each of its calls holds the lock; one that waits for it takes no slot. On a
    function that is no task, each call of it takes the lock of the current App, and waits for it where it runs.

    Args:
        name: of the lock; all that say the same name share it, tasks as well as ``app.lock(name)``.
        capacity: how many may hold it at once.

    Raises:
        ConfigError: that is no name, or no capacity, or nothing that can hold a lock.
    """
    own: Capacities = ((check_name(name, "locked"), check_capacity(capacity)),)

    def decorate(what: T) -> T:
        if isinstance(what, Definition):
            made: Any = what
            made = made.with_options(locks=merged(what.options.locks, own))
            return cast("T", register(made, getattr(made._app, "kept_tasks", None)))
        if not callable(what):
            raise ConfigError(f"locked({name!r}): {what!r:.60} is neither a task nor a function")
        if isinstance(what, type):
            said = f"{{{name!r}: {capacity}}}"
            raise ConfigError(
                f"locked({name!r}): for a class of tasks say its locks as an attribute, locks = {said}"
            )
        return _wrapped(what, own)  # type: ignore[return-value]

    return decorate


def without_locks(function: Callable[..., Any]) -> tuple[Callable[..., Any], Capacities]:
    """Return a function that is to be a task, as it was written, and the locks that its calls hold."""
    locks: Capacities = ()
    while (said := vars(function).get(_LOCKS) if hasattr(function, "__dict__") else None) is not None:
        locks = merged(said, locks)
        function = function.__wrapped__  # type: ignore[attr-defined]
    return function, locks


def _wrapped(function: Callable[..., Any], locks: Capacities) -> Callable[..., Any]:
    ((name, capacity),) = locks
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"locked({name!r}): {function.__name__} is a generator function, which runs when others ask it for items; "
            "say with app.lock(...) in it"
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def hold_and_await(*args: Any, **kwargs: Any) -> Any:
            async with AppLock(None, name, capacity):
                return await function(*args, **kwargs)

        made: Any = hold_and_await
    else:

        @functools.wraps(function)
        def hold_and_call(*args: Any, **kwargs: Any) -> Any:
            with AppLock(None, name, capacity):
                return function(*args, **kwargs)

        made = hold_and_call
    vars(made)[_LOCKS] = locks
    return made  # type: ignore[no-any-return]
