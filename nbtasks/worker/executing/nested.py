"""Processes that a call starts with multiprocessing find the notebook's functions and classes.

Pickle knows those by their name in ``__main__``, and a worker's ``__main__`` is another one. So it is asked for them
here: it has what the function of the running call knows. A forked process has inherited that; one that is spawned is
handed the call's function. What has no such name, as what is defined inside a function, goes by value.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import multiprocessing.spawn
import sys
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from types import FunctionType, MethodType
from typing import Any

from nbtasks.core.context import current_call
from nbtasks.wire import pickling

_MAIN = "__main__"
#: Functions below a called one that are looked at.
_MOST_SEEN = 50

#: In a process that a call has spawned: the call's function; as bytes until somebody asks.
_taken: list[Any] = []


def install() -> None:
    """Have pickle find the names of the running call's notebook."""
    vars(sys.modules[_MAIN])["__getattr__"] = _name_of_main
    # Looked for with each pickler; there is no other way to say how functions are pickled.
    ForkingPickler.reducer_override = _reduced  # type: ignore[method-assign, assignment, attr-defined, unused-ignore]
    prepare: Callable[[str], dict[str, Any]] = multiprocessing.spawn.get_preparation_data
    if prepare is not _prepared:
        _original.append(prepare)
        multiprocessing.spawn.get_preparation_data = _prepared


_original: list[Callable[[str], dict[str, Any]]] = []


def _prepared(name: str) -> dict[str, Any]:
    """Return what a spawned process begins with."""
    data, function = _original[0](name), _function()
    if function is not None:
        # The module that this process was started with is none of the task's.
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
        data["nbtasks"] = _Handed(function)
    return data


class _Handed:
    """Is the function of a call, where a spawned process reads it."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __reduce__(self) -> tuple[Any, ...]:
        return take, (pickling.dump_function(self._function),)


def take(packed: bytes) -> None:
    """Begin a spawned process; named in pickles, so it keeps its name and place."""
    _taken[:] = [packed]
    install()


def _function() -> Any:
    """Return the function of the call that this code belongs to."""
    call = current_call()
    if call is not None:
        return call.function
    if _taken and isinstance(_taken[0], bytes):
        _taken[0] = pickling.loads(_taken[0])
    return _taken[0] if _taken else None


def _name_of_main(name: str) -> Any:
    if not name.startswith("__"):
        for space in _spaces_of(_function()):
            if name in space:
                return space[name]
    raise AttributeError(f"module {_MAIN!r} has no attribute {name!r}")


def _spaces_of(called: Any) -> Iterator[dict[str, Any]]:
    """Return the names that a function knows from its notebook, and what it is wrapped around."""
    to_see, seen = deque([called]), 0
    while to_see and seen < _MOST_SEEN:
        one, seen = to_see.popleft(), seen + 1
        if isinstance(one, functools.partial):
            to_see.append(one.func)
        elif isinstance(one, MethodType):
            to_see.append(one.__func__)
        elif isinstance(one, FunctionType):
            if one.__globals__.get("__name__") == _MAIN:
                yield one.__globals__
            to_see.extend(_closed_over(one))
        elif one is not None:
            to_see.append(vars(type(one)).get("__call__"))
            to_see.append(inspect.getattr_static(one, "__wrapped__", None))


def _closed_over(function: FunctionType) -> Iterator[Any]:
    yield vars(function).get("__wrapped__")
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            if isinstance(cell.cell_contents, (FunctionType, MethodType, functools.partial)):
                yield cell.cell_contents


def _reduced(_: Any, value: Any) -> Any:
    """Have a function or a class that has no name where it could be found go by value."""
    if isinstance(value, (FunctionType, type)) and not _has_a_name(value):
        return pickling.loads, (pickling.dump_function(value),)
    return NotImplemented


def _has_a_name(value: Any) -> bool:
    found: Any = sys.modules.get(value.__module__)
    try:
        for part in value.__qualname__.split("."):
            found = getattr(found, part)
    except AttributeError:
        return False
    return found is value
