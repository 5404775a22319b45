"""What local modules define travels by its name; which modules that needs is noted while it is pickled."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any

from cloudpickle import cloudpickle

from .manifest import Needs
from .origin import MAIN, is_installed, is_local
from .sources import place_of, source_of
from .world import is_of_other_world

_here = threading.local()


@contextlib.contextmanager
def noting(needs: Needs) -> Iterator[Needs]:
    """Have what is pickled in this thread note which modules it needs."""
    before = needs_here()
    _here.needs = needs
    try:
        yield needs
    finally:
        _here.needs = before


def needs_here() -> Needs | None:
    """Return where it is noted in this thread which modules are needed; None where nobody asks."""
    return getattr(_here, "needs", None)


def note(needs: Needs, value: Any) -> None:
    """Note which module a value that is being pickled comes from."""
    kind = type(value)
    if kind is CodeType:
        needs.codes.add(value)
        return
    if kind is FunctionType:
        _note_name(needs, value.__globals__.get("__name__"))
    with contextlib.suppress(Exception):
        # Of a module its own, of an instance that of its class; what the user's attributes do is not our business.
        _note_name(needs, value.__name__ if isinstance(value, ModuleType) else value.__module__)


def _note_name(needs: Needs, name: Any) -> None:
    if type(name) is str:
        needs.modules.add(name)


def travels_by_name(value: Any) -> bool:
    """Whether workers find a function, class or module in a module, which is what is sent if it is a local one."""
    if isinstance(value, ModuleType):
        return sys.modules.get(value.__name__) is value and not (
            value.__name__ in MAIN or is_made(value.__name__)
        )
    # What a notebook defines is most often what is asked about.
    if getattr(value, "__module__", None) in MAIN:
        return False
    return cloudpickle._should_pickle_by_reference(value) and not is_made(value.__module__)


def reduced(pickler: Any, value: Any) -> Any:
    """Return how a value is pickled that has to do with modules; NotImplemented for all others."""
    if type(value) is FunctionType:
        return _reduced_function(pickler, value)
    if isinstance(value, ModuleType):
        return _reduced_module(value)
    if issubclass(type(value), type) and not travels_by_name(value) and is_of_other_world(value):
        return found_by_name, (value.__module__, value.__qualname__)
    return NotImplemented


def _reduced_function(pickler: Any, function: FunctionType) -> Any:
    module = function.__module__
    if travels_by_name(function):
        return NotImplemented
    if is_of_other_world(function):
        return found_by_name, (module, function.__qualname__)
    home = function.__globals__.get("__name__")
    if isinstance(home, str) and home not in MAIN and not is_made(home) and _has_globals(home, function):
        return _on_its_module(pickler, function, home)
    return pickler._dynamic_function_reduce(function)


def _has_globals(name: str, function: FunctionType) -> bool:
    return getattr(sys.modules.get(name), "__dict__", None) is function.__globals__


def _on_its_module(pickler: Any, function: FunctionType, home: str) -> tuple[Any, ...]:
    """Reduce a function that its module does not have by name, such as a closure: its globals are the module's."""
    pickler.globals_ref[id(function.__globals__)] = _GlobalsOf(name=home)
    # Not as ours does it, which looks for the globals that the function needs.
    rebuild, args, (attributes, state), *rest = cloudpickle.Pickler._dynamic_function_reduce(
        pickler, function
    )
    state["__globals__"], state["_cloudpickle_submodules"] = {}, []
    return rebuild, args, (attributes, state), *rest


class _GlobalsOf(dict):  # type: ignore[type-arg] # it is none, and pickles as one
    """Pickles as the globals of a module."""

    def __reduce__(self) -> tuple[Any, ...]:
        return globals_of, (self["name"],)


def globals_of(name: str) -> dict[str, Any]:
    """Return the globals of a module; named in pickles, so it keeps its name and place."""
    return vars(import_module(name))


def found_by_name(module: str, name: str) -> Any:
    """Return what a module has by this name; named in pickles, so it keeps its name and place."""
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _reduced_module(module: ModuleType) -> Any:
    name = getattr(module, "__name__", None)
    if not isinstance(name, str) or name in MAIN:
        return NotImplemented
    if sys.modules.get(name) is module:
        if is_made(name):
            return _by_content(module)
        # Some put an object of a class of their own in their place.
        return NotImplemented if type(module) is ModuleType else (cloudpickle.subimport, (name,))
    others = [key for key, one in list(sys.modules.items()) if one is module and key not in MAIN]
    if not others:
        return NotImplemented
    needs = needs_here()
    if needs is not None:
        needs.modules.add(others[0])
    return cloudpickle.subimport, (others[0],)


def _by_content(module: ModuleType) -> tuple[Any, ...]:
    content = {name: value for name, value in vars(module).items() if name != "__builtins__"}
    return cloudpickle.dynamic_subimport, (module.__name__, content)


_made: dict[str, tuple[object, bool]] = {}


def is_made(name: str) -> bool:
    """Whether a module that is loaded has no source that could travel, so that its content does."""
    module = sys.modules.get(name)
    known = _made.get(name)
    if known is None or known[0] is not module:
        known = _made[name] = (module, isinstance(module, ModuleType) and _has_no_source(name, module))
    return known[1]


def _has_no_source(name: str, module: ModuleType) -> bool:
    if is_local(module):
        place = place_of(name)
        return place is not None and source_of(name, place) is None
    parent = sys.modules.get(name.partition(".")[0])
    is_of_nothing = all(
        getattr(one, attribute, None) is None
        for one in (module, parent)
        for attribute in ("__file__", "__spec__", "__path__")
    )
    return is_of_nothing and not is_installed(name, "") and place_of(name) is None
