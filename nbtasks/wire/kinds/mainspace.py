"""``__main__`` as a call finds it in a worker: with the notebook's classes, and what their annotations name.

``typing.get_type_hints`` and what builds on it look up the names in a class's annotations in the module that the class
says it is of. For a class of a notebook that is ``__main__``, which in a worker is another program.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any, ForwardRef

from nbtasks.core.context import current_call
from nbtasks.core.globals import names_in_annotations
from nbtasks.wire.modules.origin import MAIN

from .opening import current_opening

#: What annotations of classes that were rebuilt here name.
_named: weakref.WeakKeyDictionary[type, dict[str, Any]] = weakref.WeakKeyDictionary()


def named_by(kind: type) -> dict[str, Any]:
    """Return name -> value of what the annotations of a notebook's class name, where they are texts."""
    if kind.__module__ not in MAIN:
        return {}
    annotations = vars(kind).get("__annotations__")
    texts = list(_texts_in(annotations.values())) if isinstance(annotations, dict) else []
    there = vars(sys.modules.get(kind.__module__, object))
    return (
        {name: there[name] for name in sorted(names_in_annotations(texts)) if name in there} if texts else {}
    )


def _texts_in(annotations: Iterable[Any]) -> Iterator[str]:
    for one in annotations:
        if isinstance(one, str):
            yield one
        elif isinstance(one, ForwardRef):
            yield one.__forward_arg__
        elif not isinstance(one, type):
            yield from _texts_in(getattr(one, "__args__", ()))


def keep(kind: type, names: dict[str, Any]) -> None:
    """Remember what :func:`named_by` has found of a class, for the calls that have it."""
    if names:
        _named[kind] = names


def _names() -> dict[str, Any]:
    """Return the names of the notebook that are known of the call that runs here."""
    opening, call = current_opening(), current_call()
    # What the call itself makes, a class say, names what its function's code sees.
    names = _globals_of(call.function) if call is not None else {}
    if opening is None:
        return names
    kinds = [*opening.of_function.values(), *(opening.own or {}).values()]
    names |= {
        kind.__name__: kind for kind in kinds if kind.__module__ in MAIN and "." not in kind.__qualname__
    }
    for kind in kinds:
        names |= _named.get(kind, {})
    return names


def _globals_of(function: Any) -> dict[str, Any]:
    function = function.__func__ if type(function) is MethodType else function
    if type(function) is not FunctionType or function.__module__ not in MAIN:
        return {}
    return {name: value for name, value in function.__globals__.items() if not name.startswith("__")}


_dict_of: Any = vars(ModuleType)["__dict__"]


class _Main(ModuleType):
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        own: dict[str, Any] = _dict_of.__get__(self)
        names = _names()
        return {**own, **names} if names else own

    def __getattr__(self, name: str) -> Any:
        try:
            return _names()[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def install() -> None:
    """Let the calls of this process find their notebook's names in ``__main__``."""
    before = sys.modules["__main__"]
    if isinstance(before, _Main):
        return
    made = _Main("__main__")
    _dict_of.__get__(made).update(vars(before))
    #: Its functions go on reading their globals there.
    made.nbtasks_program = before  # type: ignore[attr-defined]
    sys.modules["__main__"] = made
