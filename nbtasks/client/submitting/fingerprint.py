"""Whether a function still is what was shipped. Only what provably cannot change counts; all else is shipped anew."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, GenericAlias, MethodType, ModuleType
from typing import Any

from nbtasks.client.ofworkers import Elsewhere
from nbtasks.core.globals import captures
from nbtasks.core.taskbody import TaskBody
from nbtasks.wire.kinds.generators import is_hidden_global
from nbtasks.wire.modules.byname import travels_by_name

_IMMUTABLE = (int, str, float, bytes, bool, type(None), complex)

Fingerprint = list[Any]


def fingerprint(function: Any) -> Fingerprint | None:
    """Return everything that a function depends on, or None when something of it may change unseen."""
    parts: Fingerprint = []
    return parts if _collect(function, parts, set()) else None


def same(one: Fingerprint | None, other: Fingerprint | None) -> bool:
    """Whether two fingerprints are of the same function."""
    if one is None or other is None or len(one) != len(other):
        return False
    return all(
        a is b or (type(a) in _IMMUTABLE and type(a) is type(b) and a == b and _same_sign(a, b))
        for a, b in zip(one, other, strict=True)
    )


def _same_sign(one: Any, other: Any) -> bool:
    """Whether two equal values are the same: 0.0 and -0.0 are equal, too."""
    return type(one) not in (float, complex) or repr(one) == repr(other)


def _collect(value: Any, parts: Fingerprint, seen: set[int]) -> bool:
    if id(value) in seen:
        return True
    kind = type(value)
    if kind in _IMMUTABLE:
        parts.append(value)
        return True
    seen.add(id(value))
    if kind is FunctionType and not travels_by_name(value):
        return _collect_function(value, parts, seen)
    if kind is tuple:
        parts.append(len(value))
        return all(_collect(item, parts, seen) for item in value)
    if kind is TaskBody:
        return _collect_body(value, parts, seen)
    parts.append(value)
    return _is_fixed(value)


def _collect_body(body: TaskBody, parts: Fingerprint, seen: set[int]) -> bool:
    kind, _, function, binds, own = body.task.parts()
    parts += [kind, binds, len(own)]
    if not _is_fixed(kind):
        # Its methods may be changed.
        return False
    return all(_collect(item, parts, seen) for pair in own.items() for item in pair) and _collect(
        function, parts, seen
    )


def _is_fixed(value: Any) -> bool:
    """Whether a value travels by its name. What local modules say is looked at apart."""
    if isinstance(value, Elsewhere):
        return True
    if isinstance(value, (BuiltinFunctionType, MethodType)):
        # A method of something that changes does something else then.
        owner = value.__self__
        return owner is None or isinstance(owner, ModuleType) or is_hidden_global(owner)
    # In Python 3.10 `list[int]` is an instance of type, too.
    is_named = isinstance(value, (ModuleType, type, FunctionType)) and not isinstance(value, GenericAlias)
    return is_named and travels_by_name(value)


def _collect_function(function: FunctionType, parts: Fingerprint, seen: set[int]) -> bool:
    code = function.__code__
    parts.append(code)
    if function.__dict__:
        return False
    count = 0
    for name, value in captures(function):
        count += 1
        parts.append(name)
        if not _collect(value, parts, seen):
            return False
    parts.append(count)
    return True
