"""Which part of a value cannot travel, and why: for the messages of errors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from types import MethodType
from typing import Any

from nbtasks.core.errors import NotPicklable
from nbtasks.core.globals import captures, has_code, mentioned_by
from nbtasks.core.readable import name_of, repr_of, text_of

from .kinds.stationary import never_travels

#: Seconds for which the part is looked for: each look pickles what is left.
_LOOK_FOR_S = 1.0
_MOST_ITEMS = 10_000
#: Characters of a path and of a reason in a message.
_MOST_PATH, _MOST_KEY, _MOST_REASON = 160, 40, 300
_TOO_DEEP = "is nested too deeply to travel; pass it in a flatter form"

Attempt = Callable[[Any], None]


@dataclass(frozen=True)
class Culprit:
    """A part of a value that cannot travel: where it is, and a sentence about it."""

    path: str
    why: str


def culprit(value: Any, attempt: Attempt) -> Culprit | None:
    """Return what it is in a value that cannot travel, or None when all of it can.

    Args:
        attempt: pickles a value, and raises where it cannot.
    """
    error = _error_of(value, attempt)
    return None if error is None else _found(value, error, attempt)


def explained(value: Any, error: Exception, attempt: Attempt) -> NotPicklable:
    """Return what is to be raised for a value whose pickling has raised."""
    try:
        found = _found(value, error, attempt)
        path = _name_of(value) + found.path if found.path or not is_too_deep(error) else "a value"
        return NotPicklable(f"{path} {found.why}", path)
    except Exception:
        # To look at it runs code of the user's, as pickling does.
        why = f"cannot travel to another process: {name_of(error)}: {text_of(error, 500)}"
        return NotPicklable(f"{name_of(value)} {why}", name_of(value))


def is_too_deep(error: Exception) -> bool:
    """Whether a value was nested too deeply."""
    # cloudpickle makes another error of it.
    return isinstance(error.__cause__ or error, RecursionError)


def _error_of(value: Any, attempt: Attempt) -> Exception | None:
    try:
        attempt(value)
    except Exception as error:
        return error
    return None


def _found(value: Any, error: Exception, attempt: Attempt) -> Culprit:
    path, part, error = _innermost(value, error, attempt)
    return Culprit(_shortened(path), _why(part, error))


def _why(part: Any, error: Exception) -> str:
    said = never_travels(part)
    if said is None and is_too_deep(error):
        return _TOO_DEEP
    kind = name_of(part)
    if said is not None:
        # "is a generator" names its kind already.
        return said if said.startswith("is ") and kind.lower() in said else f"({kind}) {said}"
    if isinstance(error, NotPicklable):
        return text_of(error, _MOST_REASON)
    return (
        f"({kind}) cannot travel to another process: {text_of(error, _MOST_REASON).rstrip('.')}. "
        "Make it inside the task instead, or pass what it is made from"
    )


def _shortened(path: str) -> str:
    half = _MOST_PATH // 2
    return path if len(path) <= _MOST_PATH else f"{path[:half]} ... {path[-half:]}"


def _innermost(value: Any, error: Exception, attempt: Attempt) -> tuple[str, Any, Exception]:
    """Find the innermost part of a value that cannot be pickled: its path from the value, itself, its error."""
    path, until = "", monotonic() + _LOOK_FOR_S
    seen: set[int] = set()
    while id(value) not in seen and never_travels(value) is None:
        seen.add(id(value))
        if is_too_deep(error) and not has_code(value):
            break
        for name, part in _parts_of(value):
            if monotonic() > until:
                return path, value, error
            problem = None if id(part) in seen else _error_of(part, attempt)
            if problem is not None and not _is_refused_as_a_whole(error, problem):
                path, value, error = path + name, part, problem
                break
        else:
            break
    return path, value, error


def _is_refused_as_a_whole(error: Exception, of_part: Exception) -> bool:
    """Whether a value was refused by us, and not for this part of it."""
    return isinstance(error, NotPicklable) and text_of(error) != text_of(of_part)


def _name_of(value: Any) -> str:
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else type(value).__name__


def _parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, MethodType):
        yield ".__self__", value.__self__
    if has_code(value):
        yield from _parts_of_function(value)
    elif isinstance(value, dict):
        for key, item in list(value.items())[:_MOST_ITEMS]:
            yield f"[{repr_of(key, _MOST_KEY)}]", item
        yield from ((f" (the key {repr_of(key, _MOST_KEY)})", key) for key in list(value)[:_MOST_ITEMS])
    elif isinstance(value, (list, tuple, set, frozenset)):
        for number, item in enumerate(list(value)[:_MOST_ITEMS]):
            yield f"[{number}]", item
    elif isinstance(value, functools.partial):
        yield ".func", value.func
        yield from ((f".args[{number}]", item) for number, item in enumerate(value.args))
        yield from ((f".keywords[{name!r}]", item) for name, item in value.keywords.items())
    elif isinstance(value, type):
        yield from (
            (f".{name}", item) for name, item in list(vars(value).items()) if not name.startswith("__")
        )
        yield from (("", base) for base in value.__bases__)
    else:
        yield from _attributes_of(value)


def _parts_of_function(function: Any) -> Iterator[tuple[str, Any]]:
    mentioned = {name for name, _ in mentioned_by(function)}
    yield from ((f": {name}", item) for name, item in captures(function) if name not in mentioned)
    yield from ((f".{name}", item) for name, item in list(getattr(function, "__dict__", {}).items()))


def _attributes_of(value: Any) -> Iterator[tuple[str, Any]]:
    attributes = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        names = [slots] if isinstance(slots, str) else [*slots]
        attributes |= {name: getattr(value, name) for name in names if hasattr(value, name)}
    yield from ((f".{name}", item) for name, item in attributes.items())
    # A property and what wraps a function keep it where no dict is.
    for name in ("__func__", "__wrapped__", "func", "fget"):
        part = getattr(value, name, None)
        if callable(part):
            yield f".{name}", part
    # So that a class which is to blame is found by way of its instance.
    if type(value).__module__ == "__main__":
        yield "", type(value)
