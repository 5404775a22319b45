"""What wraps functions, and other things of the standard library that pickle refuses or takes by a name only.

Caches (``lru_cache``, ``cached_property``), generic functions, names of types, weak references, context variables.
What an installed module has under its name goes by that name, as functions do.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import contextvars
import functools
import gc
import inspect
import io
import sys
import threading
import typing
import uuid
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nbtasks.core.errors import NotPicklable

from .opening import current_opening

Reduced = Any
Reducer = Callable[[Any], Reduced]


#: What functools.update_wrapper and lru_cache put into the dict of a wrapper.
_OF_WRAPPERS = frozenset({*functools.WRAPPER_ASSIGNMENTS, "__wrapped__", "cache_parameters"})


def reduced(value: Any) -> Reduced:
    """Return how a value of these kinds is pickled; NotImplemented for all others.

    Raises:
        NotPicklable: it stays in its process.
    """
    kind: Any = type(value)
    reducer = _reducer_for(kind)
    return NotImplemented if reducer is None else reducer(value)


@functools.lru_cache(4096)
def _reducer_for(kind: type) -> Reducer | None:
    for base in kind.__mro__:
        if base in _REDUCERS:
            return _REDUCERS[base]
    return None


def _goes_by_name(value: Any) -> bool:
    """Whether an imported module has a value under the name that it bears."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or module == "__main__" or module not in sys.modules:
        return False
    found: Any = sys.modules[module]
    for part in str(getattr(value, "__qualname__", getattr(value, "__name__", ""))).split("."):
        found = getattr(found, part, None)
    return found is value


# -- functions and their caches


def _reduce_lru(value: Any) -> Reduced:
    if _goes_by_name(value):
        return value.__qualname__
    info = value.cache_parameters() if hasattr(value, "cache_parameters") else {}
    size, typed = info.get("maxsize", value.cache_info().maxsize), info.get("typed", False)
    state = {name: item for name, item in vars(value).items() if name not in _OF_WRAPPERS}
    return cached, (value.__wrapped__, size, typed), state or None


def cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    """Wrap a function in a cache that is empty, or was opened here before; named in pickles, so it keeps its name."""
    wrap, opening = functools.lru_cache(maxsize, typed), current_opening()
    return wrap(function) if opening is None else opening.cache(lambda: wrap(function))


def _reduce_cached_property(value: Any) -> Reduced:
    # Until Python 3.11 it has a lock.
    state = {name: item for name, item in vars(value).items() if name != "lock"}
    return made_property, (type(value), "lock" in vars(value)), state


def made_property(kind: Any, with_lock: bool) -> Any:
    """Return a cached property without its state; named in pickles, as above."""
    made = kind.__new__(kind)
    if with_lock:
        made.lock = threading.RLock()
    return made


def _reduce_descriptor(value: Any) -> Reduced:
    """Reduce what is derived from property, classmethod or staticmethod."""
    base: Any
    for base in (property, classmethod, staticmethod):
        if type(value) is base:
            # cloudpickle does it.
            return NotImplemented
        if isinstance(value, base):
            parts = (
                (value.fget, value.fset, value.fdel, value.__doc__) if base is property else (value.__func__,)
            )
            own = {name: item for name, item in vars(value).items() if name not in _OF_WRAPPERS}
            return descriptor, (base, type(value), parts), own or None
    return NotImplemented


def descriptor(base: Any, kind: Any, parts: tuple[Any, ...]) -> Any:
    """Return a property, classmethod or staticmethod of a derived class; named in pickles, as above."""
    made = base.__new__(kind)
    base.__init__(made, *parts)
    return made


_a_generic: Any = functools.singledispatch(lambda _: None)
_generic_code = _a_generic.__code__


def _reduce_function(value: Any) -> Reduced:
    if value.__code__ is _generic_code and not _goes_by_name(value):
        registry = value.registry
        own = {name: item for name, item in vars(value).items() if name not in _OF_GENERIC}
        others = [(kind, function) for kind, function in registry.items() if kind is not object]
        return functools.singledispatch, (registry[object],), (others, own), None, None, register_all
    validated = _validated(value) if "raw_function" in value.__dict__ else None
    return NotImplemented if validated is None else (validating, (value.raw_function, *validated))


_OF_GENERIC = _OF_WRAPPERS | {"registry", "dispatch", "register", "_clear_cache"}


def register_all(generic: Any, state: tuple[list[tuple[type, Any]], dict[str, Any]]) -> None:
    """Give a generic function what was registered with it; named in pickles, as above."""
    for kind, function in state[0]:
        generic.register(kind, function)
    vars(generic).update(state[1])


def _validated(value: Any) -> tuple[Any, bool] | None:
    """Return (config, validate_return) of a function with pydantic's ``validate_call``."""
    for cell in value.__closure__ or ():
        validator = getattr(cell.cell_contents, "__self__", cell.cell_contents)
        if type(validator).__name__ == "ValidateCallWrapper":
            wrapper = getattr(validator, "config_wrapper", None) or getattr(
                validator, "_config_wrapper", None
            )
            config = getattr(wrapper, "config_dict", None) or getattr(validator, "_config", None)
            checks = getattr(validator, "validate_return", getattr(validator, "_validate_return", False))
            return config or None, bool(checks)
    return None


def validating(function: Callable[..., Any], config: Any, validate_return: bool) -> Any:
    """Wrap a function in pydantic's ``validate_call``; named in pickles, as above."""
    from pydantic import validate_call  # type: ignore[import-not-found, unused-ignore]

    return validate_call(config=config, validate_return=validate_return)(function)


def _reduce_context_manager(value: Any) -> Reduced:
    """Reduce what a function with ``@contextmanager`` has returned, if it was not entered yet."""
    generator = value.gen
    fresh = inspect.isgenerator(generator) and inspect.getgeneratorstate(generator) == inspect.GEN_CREATED
    if fresh or getattr(generator, "ag_frame", None) is not None:
        return _context_manager, (type(value), value.func, value.args, value.kwds)
    return NotImplemented


def _context_manager(kind: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kind(function, args, kwargs)


def _reduce_key(value: Any) -> Reduced:
    # functools.cmp_to_key(): it shows its function to nobody else.
    function = next(part for part in gc.get_referents(value) if part is not type(value))
    return functools.cmp_to_key, (function,)


# -- names of types: the same object comes back as the same


_ids: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
_known: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def known_or_made(id: str, make: Callable[..., Any], args: tuple[Any, ...], module: str) -> Any:
    """Return what this process has under an id, else make it; named in pickles, so it keeps its name and place."""
    found = _known.get(id)
    if found is None:
        found = _known[id] = make(*args)
        _ids[found] = id
        with contextlib.suppress(AttributeError, TypeError):
            found.__module__ = module
    return found


def _named(parts: Callable[[Any], tuple[Any, ...]], make: Callable[..., Any] | None = None) -> Reducer:
    def reduce(value: Any) -> Reduced:
        if _goes_by_name(value):
            return value.__name__
        id = _ids.setdefault(value, uuid.uuid4().hex)
        _known[id] = value
        return known_or_made, (id, make or type(value), parts(value), value.__module__)

    return reduce


def parameters(name: str, bound: Any, covariant: bool, contravariant: bool) -> Any:
    """Return a ParamSpec; named in pickles, as above."""
    return typing.ParamSpec(name, bound=bound, covariant=covariant, contravariant=contravariant)


# -- weak references: what they refer to is held, so that it is there as it is here


class HoldingRef(weakref.ref):  # type: ignore[type-arg]
    """A weak reference that holds what it refers to: in the other process nobody else may do so."""

    __slots__ = ("held",)

    def __init__(self, value: Any, callback: Any = None) -> None:
        super().__init__(value, callback)  # type: ignore[call-arg]
        self.held = value


def held(*value: Any) -> Any:
    """Return a weak reference to a value, or to nothing; named in pickles, so it keeps its name and place."""
    return HoldingRef(*value) if value else weakref.ref(_Gone())


class _Gone:
    """Is gone at once."""


def _reduce_ref(value: Any) -> Reduced:
    if isinstance(value, weakref.WeakMethod):
        return weakref.WeakMethod, (value(),)
    found = value()
    return held, (() if found is None else (found,))


def _reduce_weak_set(value: Any) -> Reduced:
    return type(value), (), list(value), None, None, fill_weak


def _reduce_weak_dict(value: Any) -> Reduced:
    return type(value), (), list(value.items()), None, None, fill_weak


def fill_weak(made: Any, items: list[Any]) -> None:
    """Fill a weak set or dict, and hold what is in it; named in pickles, as above."""
    made.update(items)
    made.nbtasks_held = items


# -- what belongs to a thread or a context


def _reduce_context_variable(value: Any) -> Reduced:
    with contextlib.suppress(LookupError):
        return context_variable, (value.name, value.get())
    return context_variable, (value.name,)


def context_variable(name: str, *value: Any) -> Any:
    """Return a context variable that has its value everywhere; named in pickles, so it keeps its name and place."""
    return contextvars.ContextVar(name, default=value[0]) if value else contextvars.ContextVar(name)


def _reduce_local(value: Any) -> Reduced:
    return type(value), (), dict(vars(value)), None, None, fill_thread_local


def fill_thread_local(made: Any, state: dict[str, Any]) -> None:
    """Give the thread that reads it what the thread had that wrote it; named in pickles, as above."""
    vars(made).update(state)


def _reduce_future(value: Any) -> Reduced:
    if not value.done() or value.cancelled():
        raise NotPicklable(
            f"({type(value).__name__}) has not come to an end, and only its own process hears of it: "
            "wait for its result(), and pass that"
        )
    own = {name: item for name, item in vars(value).items() if not name.startswith("_")}
    error = value.exception()
    outcome = (None, error) if error is not None else (value.result(), None)
    return ended_future, (type(value),), (own, *outcome), None, None, end_future


def ended_future(kind: Any) -> Any:
    """Return a future that is to be ended; named in pickles, as above."""
    made = kind.__new__(kind)
    concurrent.futures.Future.__init__(made)
    return made


def end_future(made: Any, state: tuple[dict[str, Any], Any, Any]) -> None:
    """End a future as it has ended; named in pickles, as above."""
    own, value, error = state
    vars(made).update(own)
    if error is None:
        made.set_result(value)
    else:
        made.set_exception(error)


# -- memory and files


def _reduce_view(value: memoryview) -> Reduced:
    data = value.tobytes() if value.readonly else bytearray(value.tobytes())
    return view_of, (data, value.format, value.shape)


def view_of(data: bytes | bytearray, form: str, shape: tuple[int, ...]) -> memoryview:
    """Return a view of memory; named in pickles, so it keeps its name and place."""
    flat = memoryview(data)
    if form == flat.format and len(shape) == 1:
        return flat
    if 0 in shape:
        return flat.cast(form)  # type: ignore[call-overload, no-any-return]
    return flat.cast(form, shape)  # type: ignore[call-overload, no-any-return]


def _reduce_file(value: Any) -> Reduced:
    if any(value is stream for stream in (sys.stdout, sys.stderr, sys.stdin)):
        # cloudpickle does it.
        return NotImplemented
    # cloudpickle would read it, and send its text.
    raise NotPicklable("an open file stays in its process: pass its path, and open it inside the task")


_REDUCERS: dict[type, Reducer] = {
    memoryview: _reduce_view,
    io.TextIOWrapper: _reduce_file,
    type(functools.lru_cache(len)): _reduce_lru,
    functools.cached_property: _reduce_cached_property,  # noqa: TID251 - that of users
    property: _reduce_descriptor,
    classmethod: _reduce_descriptor,
    staticmethod: _reduce_descriptor,
    FunctionType: _reduce_function,
    type(functools.cmp_to_key(lambda *_: 0)): _reduce_key,
    contextlib._GeneratorContextManagerBase: _reduce_context_manager,
    typing.NewType: _named(lambda value: (value.__name__, value.__supertype__)),
    typing.ParamSpec: _named(
        lambda value: (value.__name__, value.__bound__, value.__covariant__, value.__contravariant__),
        parameters,
    ),
    weakref.ref: _reduce_ref,
    weakref.WeakSet: _reduce_weak_set,
    weakref.WeakValueDictionary: _reduce_weak_dict,
    weakref.WeakKeyDictionary: _reduce_weak_dict,
    contextvars.ContextVar: _reduce_context_variable,
    threading.local: _reduce_local,
    concurrent.futures.Future: _reduce_future,
}
if hasattr(typing, "TypeVarTuple"):
    _REDUCERS[typing.TypeVarTuple] = _named(lambda value: (value.__name__,))
