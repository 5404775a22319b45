"""What stands at the top of a local module and cannot travel by value, a lock or an engine say: it goes by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from . import byname
from .origin import MAIN
from .sources import loaded_local

#: These have ways of their own.
_OTHERS = (type, FunctionType, BuiltinFunctionType, ModuleType)
#: Of such a value a copy is another one, for it is nothing but itself.
MARKS = frozenset({object, ContextVar, threading.local})


class Standing:
    """What local modules that are loaded have at the top.

    Args:
        travels: whether a value can travel by itself.
    """

    def __init__(self, travels: Callable[[Any], bool]) -> None:
        self._travels = travels
        self._places: dict[int, tuple[str, str]] = {}
        self._by_name: dict[int, bool] = {}
        for module, one in loaded_local().items():
            if module not in MAIN and not byname.is_made(module):
                self._look_at(module, one)

    def _look_at(self, module: str, one: ModuleType) -> None:
        for name, value in list(vars(one).items()):
            if not isinstance(value, _OTHERS) and not name.startswith("__"):
                self._places.setdefault(id(value), (module, name))

    def reduced(self, value: Any) -> Any:
        """Return how a value is pickled that only its module can make; NotImplemented for all others."""
        place = self._places.get(id(value))
        if place is None or not self._stays(value):
            return NotImplemented
        needs = byname.needs_here()
        if needs is not None:
            needs.modules.add(place[0])
        return byname.found_by_name, place

    def _stays(self, value: Any) -> bool:
        known = self._by_name.get(id(value))
        if known is None:
            known = self._by_name[id(value)] = not self._travels(value)
        return known
