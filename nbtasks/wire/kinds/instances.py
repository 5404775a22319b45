"""How instances of the user's classes travel whose own methods would stand in the way of pickle.

A ``__getattr__`` that forwards to an attribute is asked for ``__setstate__`` while there is no attribute yet, and asks
itself for ever. A ``__new__`` of a subclass of ``float`` or ``tuple`` would make once more of a value what it has made.
A mark, such as ``dataclasses.MISSING``, says something by being that one object, and there would be two.
"""

from __future__ import annotations

import copyreg
import sys
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nbtasks.wire.modules.byname import found_by_name
from nbtasks.wire.modules.origin import is_local

from .classes import travels_by_value

Reduced = tuple[Any, ...]
#: Types whose instances hold what ``__new__`` has been given.
_HOLDERS = (int, float, complex, str, bytes, tuple)
#: How a method stands in a class that was written in Python.
_WRITTEN = (FunctionType, staticmethod)
_MAKERS = ("__reduce__", "__reduce_ex__", "__getnewargs_ex__")

_known: weakref.WeakKeyDictionary[type, Callable[[Any], Reduced] | None] = weakref.WeakKeyDictionary()


def reduced(value: Any) -> Any:
    """Return such an instance as pickle wants it; else NotImplemented."""
    kind = type(value)
    try:
        reduce = _known[kind]
    except KeyError:
        reduce = _known[kind] = _way_of(kind)
    return NotImplemented if reduce is None else reduce(value)


def _way_of(kind: type) -> Callable[[Any], Reduced] | None:
    if kind in copyreg.dispatch_table or issubclass(kind, type):
        return None
    way, marks = _way_of_users(kind), _marks_of(kind)
    return way if not marks else lambda value: _reduced_mark(value, marks, way)


def _way_of_users(kind: type) -> Callable[[Any], Reduced] | None:
    if not _is_of_user(kind):
        return None
    holder = _holder_of(kind)
    if holder is not None:
        return lambda value: _reduced_held(value, holder)
    if _has(kind, "__getattr__") and not _has(kind, "__setstate__"):
        return _reduced_quietly
    return None


def _marks_of(kind: type) -> dict[int, str]:
    """Return the instances of a class that its module has at the top and that hold nothing: place in memory -> name."""
    own: tuple[Any, ...] = (kind.__reduce__, kind.__reduce_ex__)
    plain = own == (object.__reduce__, object.__reduce_ex__)
    places = bool(kind.__dictoffset__) + bool(kind.__weakrefoffset__)
    if not plain or kind.__basicsize__ > object.__basicsize__ + 8 * places or travels_by_value(kind):
        return {}
    there = getattr(sys.modules.get(kind.__module__), "__dict__", {})
    return {id(one): name for name, one in list(there.items()) if type(one) is kind and _is_empty(one)}


def _is_empty(value: Any) -> bool:
    return not getattr(value, "__dict__", None)


def _reduced_mark(value: Any, marks: dict[int, str], way: Callable[[Any], Reduced] | None) -> Any:
    module, name = type(value).__module__, marks.get(id(value), "")
    if vars(sys.modules[module]).get(name) is not value or not _is_empty(value):
        return NotImplemented if way is None else way(value)
    return found_by_name, (module, name)


def _is_of_user(kind: type) -> bool:
    return kind.__module__ != "builtins" and (
        is_local(sys.modules.get(kind.__module__)) or travels_by_value(kind)
    )


def _has(kind: type, name: str) -> bool:
    return any(isinstance(vars(base).get(name), _WRITTEN) for base in kind.__mro__)


def _holder_of(kind: Any) -> type | None:
    """Return the builtin type that an instance is made by, where a ``__new__`` of the user's is in between."""
    holder: type | None = next((base for base in kind.__mro__ if base in _HOLDERS), None)
    maker = next(base for base in kind.__mro__ if "__new__" in vars(base))
    if holder is None or not _has(maker, "__new__") or any(_has(kind, name) for name in _MAKERS):
        return None
    giver = next((base for base in kind.__mro__ if "__getnewargs__" in vars(base)), holder)
    if giver is maker or not (giver is holder or hasattr(giver, "_fields")):
        # It says itself what it is made of; that of a named tuple suits its own __new__ only.
        return None
    return holder


def _reduced_held(value: Any, holder: Any) -> Reduced:
    args = holder.__getnewargs__(value)
    state = vars(value) if getattr(value, "__dict__", None) else None
    return remade, (holder, type(value), *args), state


def remade(holder: Any, kind: type, *args: Any) -> Any:
    """Make an instance without its class's ``__new__``; named in pickles, so it keeps its name and place."""
    return holder.__new__(kind, *args)


def _reduced_quietly(value: Any) -> Reduced:
    parts = value.__reduce_ex__(2)
    if isinstance(parts, str) or len(parts) < 3 or parts[2] is None:
        return parts  # type: ignore[no-any-return]
    function, args, state, items, pairs = (*parts, None, None)[:5]
    return function, args, state, items, pairs, set_state


def set_state(instance: Any, state: Any) -> None:
    """Set attributes as pickle does, but ask for none; named in pickles, so it keeps its name and place."""
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    if attributes:
        object.__getattribute__(instance, "__dict__").update(attributes)
    for name, item in (slots or {}).items():
        object.__setattr__(instance, name, item)
