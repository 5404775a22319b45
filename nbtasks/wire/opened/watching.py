"""What the calls of a function could change of it, and how it is put back: each begins from what the notebook had.

Whatever a function captures is walked once when it is opened. Of each thing that can change, what it holds is noted:
which objects, not what is in them, since those are noted as well. After a call these notes are compared, by identity,
and what differs is put back. Where that would take longer than to open the function anew, or where something keeps its
state where Python cannot see it, each call opens the function for itself instead.
"""

from __future__ import annotations

import collections
import enum
import functools
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from . import notes
from .arraynotes import ArrayNote, HeldNote, LayoutNote, lies_in
from .instanceparts import (
    NOTHING,
    attributes_of,
    is_by_name,
    is_made_by_function,
    is_ours,
    is_plain,
    slot_of,
    slots_of,
)
from .largecontainers import LargeContainers
from .notes import Note
from .rebinding import may_rebind, mentions
from .unchanging import FIXED, FIXED_KINDS, cannot_change

_DICTS: frozenset[type] = frozenset(
    {dict, collections.OrderedDict, collections.defaultdict, collections.Counter}
)
#: An array of this size is not copied.
_LARGE_ARRAY_BYTES = 512 * 1024
#: From so many things on it is not worth looking at them one by one.
_MOST = 50_000


class Watch:
    """What can change of one copy of a function.

    Args:
        held: what it was opened from, where large arrays lie in that.

    Attributes:
        notes: of all that can be put back.
        is_hidden: some of it cannot be put back, for nobody sees it.
    """

    def __init__(self, function: Any, classes: Iterable[type], held: memoryview | None = None) -> None:
        self.notes: list[Note] = []
        self.is_hidden = False
        self._held = held
        self._classes = {id(kind) for kind in classes}
        self._functions: list[types.FunctionType] = []
        self._cells: list[types.CellType] = []
        self._instances: list[Any] = []
        #: Kept, so that no other object gets the place of one that was seen.
        self._seen: dict[int, Any] = {}
        self._large = LargeContainers()
        self._waiting: list[Any] = [function]
        self._walk()
        if self.is_hidden:
            # Nobody puts anything back then.
            return
        self._leave_out_what_is_only_read()
        codes = {one.__code__ for one in self._functions}
        if any(mentions(code, "__class__") or mentions(code, "__dict__") for code in codes):
            # First: what others put back is looked for in these.
            self.notes = [*map(notes.InstanceNote, self._instances), *self.notes]
        if any(map(may_rebind, codes)):
            self.notes += map(notes.FunctionNote, self._functions)
            self.notes += map(notes.CellNote, self._cells)
            namespaces = {id(one.__globals__): one.__globals__ for one in self._functions}
            self.notes += map(notes.DictNote, namespaces.values())
        self._seen.clear()
        self._instances.clear()

    def restore(self) -> None:
        """Put back what a call has changed."""
        for note in self.notes:
            note.restore()

    def _look_at(self, value: Any) -> None:
        kind = type(value)
        if kind in FIXED:
            return
        if id(value) in self._seen:
            self._large.meet_again(value)
            return
        self._seen[id(value)] = value
        look = _LOOKS.get(kind)
        if look is not None:
            look(self, value)
        elif isinstance(value, type):
            if id(value) in self._classes:
                self.notes.append(notes.ClassNote(value))
                self._add(vars(value).values())
        elif isinstance(value, tuple):
            self._add(value)
        elif isinstance(value, enum.Enum):
            if id(kind) in self._classes:
                self._dict(vars(value))
                self._waiting.append(kind)
        elif not isinstance(value, FIXED_KINDS) and not is_ours(value, kind):
            self._instance(value, kind)

    def _add(self, values: Iterable[Any]) -> None:
        """Have these looked at, if one of them could change."""
        found = list(values)
        if not cannot_change(found):
            self._waiting += found

    def _note(self, value: Any, note: Callable[[Any], Note], *parts: Iterable[Any]) -> None:
        """Note what a container holds, and have its parts looked at; of a large one that may turn out not to matter."""
        if not self._large.take(value, note, parts):
            self.notes.append(note(value))
            for some in parts:
                self._add(some)

    def _walk(self) -> None:
        while self._waiting and not self.is_hidden:
            self._look_at(self._waiting.pop())
            self.is_hidden |= len(self._seen) > _MOST

    def _leave_out_what_is_only_read(self) -> None:
        """Note those of the large containers that may be changed; to look into them may show that others are, too."""
        while changing := self._large.give_up(self._seen.keys(), self._functions):
            for one in changing:
                self.notes.append(one.note(one.value))
                for some in one.parts:
                    self._add(some)
            self._walk()

    # -- kinds

    def _function(self, function: types.FunctionType) -> None:
        module = sys.modules.get(function.__globals__.get("__name__", ""))
        if module is not None and vars(module) is function.__globals__:
            # Its module is imported here, and all share it.
            return
        self._functions.append(function)
        self._add(function.__closure__ or ())
        self._add(function.__defaults__ or ())
        if function.__kwdefaults__:
            self._waiting.append(function.__kwdefaults__)
        self._add(vars(function).values())
        if id(function.__globals__) not in self._seen:
            self._seen[id(function.__globals__)] = function.__globals__
            self._add(value for name, value in function.__globals__.items() if name != "__builtins__")

    def _cell(self, cell: types.CellType) -> None:
        self._cells.append(cell)
        try:
            self._waiting.append(cell.cell_contents)
        except ValueError:
            return

    def _dict(self, value: dict[Any, Any]) -> None:
        self._note(value, notes.DictNote, value.keys(), value.values())

    def _list(self, value: Any) -> None:
        self._note(value, notes.ListNote, value)

    def _set(self, value: set[Any]) -> None:
        self._note(value, notes.SetNote, value)

    def _bytearray(self, value: bytearray) -> None:
        self.notes.append(notes.BytesNote(value))

    def _method(self, method: types.MethodType) -> None:
        module = sys.modules.get(getattr(method.__func__, "__module__", None) or "")
        if getattr(module, getattr(method.__func__, "__name__", ""), None) != method:
            self._waiting += (method.__func__, method.__self__)

    def _builtin(self, function: types.BuiltinFunctionType) -> None:
        # A method of what is written in C, such as a list, is one as well.
        self._add((function.__self__,))

    def _instance(self, value: Any, kind: type) -> None:
        if kind.__module__.partition(".")[0] == "numpy":
            self._array(value, kind)
            return
        slots = slots_of(kind)
        if not is_plain(kind, len(slots)):
            self.is_hidden |= not is_by_name(value)
        elif not is_made_by_function(value, kind):
            self._instances.append(value)
            if slots:
                self.notes.append(notes.SlotsNote(value, slots))
                self._add(found for found in (slot_of(slot, value) for slot in slots) if found is not NOTHING)
            attributes = attributes_of(value)
            if attributes is not None:
                self._dict(attributes)
            # Methods may be what nothing else refers to.
            self._waiting.append(kind)

    def _array(self, value: Any, kind: type) -> None:
        import numpy as np

        if isinstance(value, (np.generic, np.dtype, np.ufunc)):
            return
        if kind is not np.ndarray:
            self.is_hidden |= not is_by_name(value)
            return
        self.notes.append(LayoutNote(value))
        if value.nbytes >= _LARGE_ARRAY_BYTES and not value.dtype.hasobject:
            self._large_array(value)
            return
        self.notes.append(ArrayNote(value))
        if value.dtype.hasobject:
            self._add(value.ravel().tolist())

    def _large_array(self, value: Any) -> None:
        if self._held is None or not lies_in(self._held, value):
            self.is_hidden = True
        elif not any(isinstance(note, HeldNote) for note in self.notes):
            self.notes.append(HeldNote(self._held))


_LOOKS: dict[type, Callable[[Watch, Any], object]] = {
    types.FunctionType: Watch._function,
    types.CellType: Watch._cell,
    types.MethodType: Watch._method,
    types.BuiltinFunctionType: Watch._builtin,
    list: Watch._list,
    collections.deque: Watch._list,
    set: Watch._set,
    frozenset: Watch._add,
    bytearray: Watch._bytearray,
    classmethod: lambda watch, value: watch._add((value.__func__,)),
    staticmethod: lambda watch, value: watch._add((value.__func__,)),
    property: lambda watch, value: watch._add((value.fget, value.fset, value.fdel)),
    functools._lru_cache_wrapper: lambda watch, value: watch._add(vars(value).values()),
    functools.partial: lambda watch, value: watch._add((value.func, value.args, value.keywords, vars(value))),
    types.MappingProxyType: lambda watch, value: watch._add(value.values()),
    **dict.fromkeys(_DICTS, Watch._dict),
}
