"""What is set on a task and on one call, checked. Units are in the names or in the comments."""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .durations import YEAR_S, seconds
from .errors import ConfigError
from .lock import Capacities, check_capacity, check_locks
from .moments import may_be_epoch
from .nearest import unknown
from .rates import rate
from .readable import repr_of
from .refusals import refuse_foreign

if TYPE_CHECKING:
    from typing_extensions import Self

PRIORITIES = {"low": 2, "normal": 5, "high": 8}


@dataclass(frozen=True)
class TaskOptions:
    """Options of a task, checked; what each means stands in keywords.py."""

    name: str | None = None
    bind: bool = False
    queue: str = "default"
    priority: int = 5
    max_retries: int | None = 3
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    #: A number: seconds of the first delay, in place of ``default_retry_delay``.
    retry_backoff: bool | float = True
    #: Seconds, as all that follow.
    retry_backoff_max: float = 600.0
    retry_jitter: bool = True
    default_retry_delay: float = 1.0
    time_limit: float | None = None
    soft_time_limit: float | None = None
    #: ``<number>/<unit>``.
    rate_limit: str | None = None
    #: After submission.
    expires: float | None = None
    acks_late: bool = True
    ignore_result: bool = False
    seed: int | None = None
    memo: bool = False
    throws: tuple[type[BaseException], ...] = ()
    max_concurrency: int | None = None
    concurrency_key: Callable[..., Any] | None = None
    locks: Capacities = ()
    #: Seconds; True: without an end.
    unique_for: float | bool | None = None
    unique_key: Callable[..., Any] | None = None
    #: Those that somebody has given, in order: settings stand in for the others only.
    said: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return what each option is where none is given, under the names of :class:`TaskKeywords`."""
        own = {name: value for name, value in vars(cls()).items() if name != "said"}
        return {"retries": None, "retry_kwargs": None, "base": None, **own}

    @classmethod
    def make(cls, options: Mapping[str, Any], base: TaskOptions | None = None) -> TaskOptions:
        """Return checked options: ``base`` with ``options`` laid over it.

        ``retries=n`` is short for ``max_retries=n`` with ``autoretry_for=(Exception,)``, and ``retry_kwargs`` says
        ``max_retries`` and ``countdown`` as in Celery.

        Raises:
            ConfigError: an unknown option or a bad value.
        """
        base = base or cls()
        given = dict(options)
        given = {**_retry_kwargs(given.pop("retry_kwargs", None)), **given}
        if "retries" in given:
            given["max_retries"] = given.pop("retries")
            if given["max_retries"] and not (given.get("autoretry_for") or base.autoretry_for):
                given["autoretry_for"] = (Exception,)
        known = {item.name for item in dataclasses.fields(cls)} - {"said"}
        for name in given:
            if name not in known:
                refuse_foreign(name)
                raise ConfigError(unknown("task option", name, known | {"base", "retries", "retry_kwargs"}))
        made = base.with_values({name: _check(name, value) for name, value in given.items()})
        _check_limits(made)
        _check_key(made)
        return made

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Return the same with values that are checked; from now on they are said."""
        return dataclasses.replace(self, **values, said=tuple(sorted({*self.said, *values})))

    @property
    def is_locked(self) -> bool:
        """Whether its calls hold locks while they run."""
        return self.max_concurrency is not None or bool(self.locks)

    @property
    def is_unique(self) -> bool:
        """Whether the same call again is the one that there is."""
        return self.unique_for is not None or self.unique_key is not None


def _retry_kwargs(said: Any) -> dict[str, Any]:
    """Return what Celery's ``retry_kwargs`` says, as options of ours."""
    if said is None:
        return {}
    if not isinstance(said, Mapping) or not said.keys() <= {"max_retries", "countdown"}:
        raise ConfigError(
            f"retry_kwargs: {repr_of(said, 60)} is not a dict of max_retries and countdown; for more say max_retries=, "
            "default_retry_delay= and retry_backoff="
        )
    found = {name: said[name] for name in said.keys() & {"max_retries"}}
    if "countdown" in said:
        # The same each time, as it is with Celery.
        found.update(default_retry_delay=said["countdown"], retry_backoff=False)
    return found


def with_overrides(packed: Any, overrides: Mapping[str, Any]) -> TaskOptions:
    """Return a task's options, as they were packed with its function, with what was set for some calls of it.

    Retries that are asked for without saying of what are those of any error.
    """
    base = packed if isinstance(packed, TaskOptions) else TaskOptions()
    if not overrides:
        return base
    changes = dict(overrides)
    if changes.get("max_retries") and not base.autoretry_for:
        changes["autoretry_for"] = (Exception,)
    return dataclasses.replace(base, **changes)


_DURATIONS = {
    "default_retry_delay",
    "retry_backoff_max",
    "time_limit",
    "soft_time_limit",
    "expires",
}


def _check(name: str, value: Any) -> Any:
    if name in _DURATIONS:
        return None if value is None else _check_duration(name, value)
    if name in {"autoretry_for", "dont_autoretry_for", "throws"}:
        return _check_exceptions(name, value)
    check = {
        "priority": check_priority,
        "queue": check_queue,
        "max_retries": _check_retries,
        "retry_backoff": _check_backoff,
        "rate_limit": rate,
        "seed": check_seed,
        "memo": _check_memo,
        "max_concurrency": _check_concurrency,
        "concurrency_key": lambda key: _check_function(key, "concurrency_key"),
        "unique_for": _check_unique,
        "unique_key": lambda key: _check_function(key, "unique_key"),
        "locks": check_locks,
    }.get(name)
    return check(value) if check is not None else value


def _check_duration(name: str, value: Any) -> float:
    span, now = seconds(value, name), time.time()
    if may_be_epoch(value, span, now):
        raise ConfigError(
            f"{name}: {value!r} would be {span / YEAR_S:.0f} years, for what a task has is a duration in seconds; "
            + (
                "give a moment with each call: apply_async(expires=...)"
                if name == "expires"
                else "give seconds"
            )
        )
    return span


def _check_limits(options: TaskOptions) -> None:
    soft, hard = options.soft_time_limit, options.time_limit
    if soft and hard and soft > hard:
        raise ConfigError(
            f"soft_time_limit: {soft:g} s is more than time_limit, {hard:g} s, so it would never be reached; "
            "give a smaller one, or a larger time_limit"
        )


def _check_key(options: TaskOptions) -> None:
    if options.concurrency_key is not None and options.max_concurrency is None:
        raise ConfigError(
            "concurrency_key says which calls count together; say how many of them may run at once, too: "
            "max_concurrency=1"
        )


def _check_concurrency(value: Any) -> int | None:
    return None if value is None else check_capacity(value, "max_concurrency")


def _check_unique(value: Any) -> float | bool | None:
    if value is None or value is False:
        return None
    return True if value is True else seconds(value, "unique_for", least_s=0.001)


def _check_function(value: Any, name: str) -> Any:
    if value is None or (callable(value) and not isinstance(value, type)):
        return value
    raise ConfigError(
        f"{name}: {repr_of(value, 60)} is not a function of a call's arguments, such as lambda url: host(url)"
    )


def check_priority(value: int | str) -> int:
    """Return a priority from 0 to 9, from a number or from low, normal or high."""
    number = PRIORITIES.get(value, value) if isinstance(value, str) else value
    if isinstance(number, str) and number.isdigit():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 9:
        raise ConfigError(f"priority: {value!r} is not one of low, normal, high or 0 to 9 (higher is sooner)")
    return number


def check_queue(value: str) -> str:
    """Return a queue name, or raise ConfigError: letters, digits and ``_ - .``, at most 64."""
    fits = isinstance(value, str) and 0 < len(value) <= 64
    if not fits or not all(letter.isalnum() or letter in "_-." for letter in value):
        raise ConfigError(
            f"queue: {value!r} is not a queue name; use letters, digits, '_', '-' and '.', at most 64"
        )
    return value


def check_seed(value: Any) -> int | None:
    """Return a seed of random numbers, or raise ConfigError: a whole number of 0 or more, below 2**128."""
    if value is None:
        return None
    with contextlib.suppress(TypeError):
        number = operator.index(value)
        if not isinstance(value, bool) and 0 <= number < 2**128:
            return number
    raise ConfigError(f"seed: {repr_of(value, 40)} is not a whole number of 0 or more (below 2**128)")


def _check_memo(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"memo: {repr_of(value, 40)} is neither True nor False")
    return value


def _check_retries(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"max_retries: {value!r} is not a whole number of 0 or more, or None for no limit")
    return value


def _check_backoff(value: Any) -> bool | float:
    return (
        value if isinstance(value, bool) else seconds(value, "retry_backoff (True, False or the first delay)")
    )


def _check_exceptions(name: str, value: Any) -> tuple[type[BaseException], ...]:
    items = (value,) if isinstance(value, (type, str)) else tuple(value or ())
    for item in items:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise ConfigError(f"{name}: {item!r} is not an exception class")
    return items
