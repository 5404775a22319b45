"""What the calls of a function could change of it, and how it is put back: each begins from what the notebook had.

Whatever a function captures is walked once when it is opened. Of each thing that can change, what it holds is noted:
which objects, not what is in them, since those are noted as well. After a call these notes are compared, by identity,
and what differs is put back. Where that would take longer than to open the function anew, or where something keeps its
state where Python cannot see it, each call opens the function for itself instead.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import dis
import enum
import functools
import itertools
import opcode
import re
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import is_
from typing import Any, Protocol

from nbtasks.core.globals import with_inner
from nbtasks.core.mapping import PrivatePages, can_be_undone
from nbtasks.wire.kinds.generators import is_hidden_global

from .reading import only_reads

_FIXED: frozenset[type] = frozenset(
    {
        int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range, slice,
        types.CodeType, types.ModuleType, types.MethodDescriptorType,
        types.WrapperDescriptorType, types.MethodWrapperType, types.ClassMethodDescriptorType,
        types.GetSetDescriptorType, types.MemberDescriptorType, types.GenericAlias, types.UnionType,
        re.Pattern, types.DynamicClassAttribute,
    }
)  # fmt: skip
#: So are the instances of their subclasses.
_FIXED_KINDS = (
    int, float, complex, str, bytes, dt.date, dt.time, dt.timedelta, dt.tzinfo,
    decimal.Decimal, type,
)  # fmt: skip
_DICTS: frozenset[type] = frozenset(
    {dict, collections.OrderedDict, collections.defaultdict, collections.Counter}
)
#: A container with so many things is worth to find out that it is only read.
_LARGE = 500
#: An array of this size is not copied.
_LARGE_ARRAY_BYTES = 512 * 1024
#: From so many things on it is not worth looking at them one by one.
_MOST = 50_000
#: Containers that code can be seen to read: to subscript a defaultdict changes it.
_NESTING: frozenset[type] = frozenset({dict, list, set, tuple})
_STORE_GLOBAL = frozenset(opcode.opmap[name] for name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_NAME"))
_REBIND = frozenset(
    opcode.opmap[name]
    for name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR")
    if name in opcode.opmap
)
_REBIND_FREE = frozenset(
    opcode.opmap[name] for name in ("STORE_DEREF", "DELETE_DEREF") if name in opcode.opmap
)
#: Names by which code can change what it does not name.
_REBINDING_NAMES = frozenset(
    {"globals", "vars", "exec", "eval", "setattr", "delattr", "__dict__", "__globals__", "__setattr__"}
)


class _Note(Protocol):
    """What one thing held."""

    def restore(self) -> None:
        """Put it back, where it has changed."""


@dataclass(eq=False)
class _Large:
    """A large container that may turn out to be only read.

    Attributes:
        depth: how many containers lie in each other there.
        inner: places in memory of those that lie in it.
        note: makes the note of what it holds.
        parts: what it holds.
        times: how often it was met.
    """

    value: Any
    depth: int
    inner: set[int]
    note: Callable[[Any], _Note]
    parts: tuple[Iterable[Any], ...]
    times: int = 1


class Watch:
    """What can change of one copy of a function.

    Args:
        held: what it was opened from, where large arrays lie in that.

    Attributes:
        notes: of all that can be put back.
        is_hidden: some of it cannot be put back, for nobody sees it.
    """

    def __init__(self, function: Any, classes: Iterable[type], held: memoryview | None = None) -> None:
        self.notes: list[_Note] = []
        self.is_hidden = False
        self._held = held
        self._classes = {id(kind) for kind in classes}
        self._functions: list[types.FunctionType] = []
        self._cells: list[types.CellType] = []
        self._instances: list[Any] = []
        #: Kept, so that no other object gets the place of one that was seen.
        self._seen: dict[int, Any] = {}
        #: Large containers, until it is known whether they are only read.
        self._large: dict[int, _Large] = {}
        self._waiting: list[Any] = [function]
        self._walk()
        if self.is_hidden:
            # Nobody puts anything back then.
            return
        self._leave_out_what_is_only_read()
        codes = {one.__code__ for one in self._functions}
        if any(_mentions(code, "__class__") or _mentions(code, "__dict__") for code in codes):
            # First: what others put back is looked for in these.
            self.notes = [*map(_InstanceNote, self._instances), *self.notes]
        if any(map(_may_rebind, codes)):
            self.notes += map(_FunctionNote, self._functions)
            self.notes += map(_CellNote, self._cells)
            namespaces = {id(one.__globals__): one.__globals__ for one in self._functions}
            self.notes += map(_DictNote, namespaces.values())
        self._seen.clear()
        self._large.clear()
        self._instances.clear()

    def restore(self) -> None:
        """Put back what a call has changed."""
        for note in self.notes:
            note.restore()

    def _look_at(self, value: Any) -> None:
        kind = type(value)
        if kind in _FIXED:
            return
        if id(value) in self._seen:
            if id(value) in self._large:
                self._large[id(value)].times += 1
            return
        self._seen[id(value)] = value
        look = _LOOKS.get(kind)
        if look is not None:
            look(self, value)
        elif isinstance(value, type):
            if id(value) in self._classes:
                self.notes.append(_ClassNote(value))
                self._add(vars(value).values())
        elif isinstance(value, tuple):
            self._add(value)
        elif isinstance(value, enum.Enum):
            if id(kind) in self._classes:
                self._dict(vars(value))
                self._waiting.append(kind)
        elif not isinstance(value, _FIXED_KINDS) and not _is_ours(value, kind):
            self._instance(value, kind)

    def _add(self, values: Iterable[Any]) -> None:
        """Have these looked at, if one of them could change."""
        found = list(values)
        if not _cannot_change(found):
            self._waiting += found

    def _note(self, value: Any, note: Callable[[Any], _Note], *parts: Iterable[Any]) -> None:
        """Note what a container holds, and have its parts looked at; of a large one that may turn out not to matter."""
        inner: set[int] = set()
        depth = _depth_of(value, inner) if len(value) >= _LARGE and type(value) in _NESTING else None
        if depth is not None:
            self._large[id(value)] = _Large(value, depth, inner, note, parts)
            return
        self.notes.append(note(value))
        for some in parts:
            self._add(some)

    def _walk(self) -> None:
        while self._waiting and not self.is_hidden:
            self._look_at(self._waiting.pop())
            self.is_hidden |= len(self._seen) > _MOST

    def _leave_out_what_is_only_read(self) -> None:
        """Note those of the large containers that may be changed; to look into them may show that others are, too."""
        while changing := [one for one in self._large.values() if not self._is_only_read(one)]:
            for one in changing:
                del self._large[id(one.value)]
                self.notes.append(one.note(one.value))
                for some in one.parts:
                    self._add(some)
            self._walk()

    def _is_only_read(self, one: _Large) -> bool:
        """Whether a container is met under names alone, and all code that has these only reads it."""
        others = [other for other in self._large.values() if other is not one]
        if not one.inner.isdisjoint(self._seen) or not all(
            one.inner.isdisjoint(other.inner) for other in others
        ):
            return False
        times, cells = one.times, set()
        stored = dict.fromkeys(
            itertools.chain.from_iterable(_stored_by(each.__code__) for each in self._functions)
        )
        for function in self._functions:
            names = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
            for name, cell in names:
                if _contents(cell) is one.value:
                    cells.add(id(cell))
                    space = {**function.__globals__, **stored}
                    if not only_reads((function.__code__,), name, space, one.depth):
                        return False
        for namespace in {id(each.__globals__): each.__globals__ for each in self._functions}.values():
            codes = [each.__code__ for each in self._functions if each.__globals__ is namespace]
            for name in [name for name, item in namespace.items() if item is one.value]:
                times -= 1
                if not only_reads(codes, name, {**namespace, **stored}, one.depth):
                    return False
        return times == len(cells)

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
        self._note(value, _DictNote, value.keys(), value.values())

    def _list(self, value: Any) -> None:
        self._note(value, _ListNote, value)

    def _set(self, value: set[Any]) -> None:
        self._note(value, _SetNote, value)

    def _bytearray(self, value: bytearray) -> None:
        self.notes.append(_BytesNote(value))

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
        slots = _slots_of(kind)
        if not _is_plain(kind, len(slots)):
            self.is_hidden |= not _is_by_name(value)
        elif not _is_made_by_function(value, kind):
            self._instances.append(value)
            if slots:
                self.notes.append(_SlotsNote(value, slots))
                self._add(found for found in (_slot(slot, value) for slot in slots) if found is not _NOTHING)
            attributes = _attributes_of(value)
            if attributes is not None:
                self._dict(attributes)
            # Methods may be what nothing else refers to.
            self._waiting.append(kind)

    def _array(self, value: Any, kind: type) -> None:
        import numpy as np

        if isinstance(value, (np.generic, np.dtype, np.ufunc)):
            return
        if kind is not np.ndarray:
            self.is_hidden |= not _is_by_name(value)
            return
        self.notes.append(_LayoutNote(value))
        if value.nbytes >= _LARGE_ARRAY_BYTES and not value.dtype.hasobject:
            self._large_array(value)
            return
        self.notes.append(_ArrayNote(value))
        if value.dtype.hasobject:
            self._add(value.ravel().tolist())

    def _large_array(self, value: Any) -> None:
        if self._held is None or not _lies_in(self._held, value):
            self.is_hidden = True
        elif not any(isinstance(note, _HeldNote) for note in self.notes):
            self.notes.append(_HeldNote(self._held))


def _lies_in(held: memoryview, array: Any) -> bool:
    """Whether an array lies in what a function was opened from, and that is a mapping."""
    import numpy as np

    def place(one: Any) -> int:
        return int(one.__array_interface__["data"][0])

    first = place(np.frombuffer(held, np.uint8))
    lies_in_it = first <= place(array) and place(array) + array.nbytes <= first + held.nbytes
    return lies_in_it and can_be_undone(held)


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


def _cannot_change(values: Iterable[Any]) -> bool:
    kinds = set(map(type, values))
    if kinds <= _FIXED:
        return True
    # Rows, points and the like.
    return kinds <= _FIXED | {tuple} and all(
        _cannot_change(value) for value in values if type(value) is tuple
    )


def _depth_of(value: Any, inner: set[int], most: int = 4) -> int | None:
    """Return how many containers that can change lie in each other; None where something else does, or too many do.

    Args:
        inner: gets the places in memory of those in it.
    """
    parts = [*value.keys(), *value.values()] if type(value) is dict else list(value)
    if _cannot_change(parts):
        return 0 if type(value) is tuple else 1
    deepest = 0
    for part in parts:
        if type(part) in _FIXED:
            continue
        depth = _depth_of(part, inner, most - 1) if most and type(part) in _NESTING else None
        if depth is None:
            return None
        inner.add(id(part))
        deepest = max(deepest, depth)
    return deepest + 1


# -- what code can do


def _stored_by(code: types.CodeType) -> set[str]:
    """Return names of globals that code, or code inside it, may set."""
    return {
        str(step.argval)
        for part in with_inner(code)
        if set(part.co_code[::2]) & _STORE_GLOBAL
        for step in dis.get_instructions(part)
        if step.opcode in _STORE_GLOBAL
    }


def _may_rebind(code: types.CodeType) -> bool:
    """Whether code, or code inside it, may change names and attributes of what is not its own."""
    return any(map(_rebinds, with_inner(code)))


def _rebinds(code: types.CodeType) -> bool:
    used = set(code.co_code[::2])
    return (
        bool(used & _REBIND)
        or bool(code.co_freevars and used & _REBIND_FREE)
        or not _REBINDING_NAMES.isdisjoint(code.co_names)
    )


def _mentions(code: types.CodeType, name: str) -> bool:
    """Whether code, or code inside it, names an attribute, also in a text."""
    return any(name in part.co_names or name in part.co_consts for part in with_inner(code))


# -- what instances are made of


def _is_ours(value: Any, kind: type) -> bool:
    """Whether it is part of this process, as its streams are."""
    if kind.__module__.partition(".")[0] in {"nbtasks", "typing"} or is_hidden_global(value):
        return True
    return any(value is stream for stream in (sys.stdout, sys.stderr, sys.stdin))


def _is_plain(kind: type, slots: int) -> bool:
    """Whether instances keep nothing but attributes: what is written in C may have room of its own."""
    places = slots + bool(kind.__dictoffset__) + bool(kind.__weakrefoffset__)
    return not kind.__itemsize__ and kind.__basicsize__ <= object.__basicsize__ + 8 * places


def _slots_of(kind: type) -> list[types.MemberDescriptorType]:
    return [
        value
        for base in kind.__mro__
        for value in vars(base).values()
        if type(value) is types.MemberDescriptorType and value.__objclass__ is base
    ]


_NOTHING = object()


def _slot(slot: types.MemberDescriptorType, value: Any) -> Any:
    try:
        return slot.__get__(value)
    except AttributeError:
        return _NOTHING


def _attributes_of(value: Any) -> dict[str, Any] | None:
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None


def _is_by_name(value: Any) -> bool:
    try:
        return isinstance(value.__reduce_ex__(4), str)
    except Exception:
        return False


def _is_made_by_function(value: Any, kind: type) -> bool:
    """Whether an instance is what a function returns here, as ``logging.getLogger`` does: others may have it, too."""
    own: tuple[Any, ...] = (kind.__reduce__, kind.__reduce_ex__)
    if own == (object.__reduce__, object.__reduce_ex__):
        return False
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:
        return False
    if isinstance(reduced, str):
        return True
    return len(reduced) == 2 and not isinstance(reduced[0], type)


# -- notes


class _DictNote:
    __slots__ = ("_keys", "_target", "_values")

    def __init__(self, target: dict[Any, Any]) -> None:
        self._target, self._keys, self._values = target, tuple(target), tuple(target.values())

    def restore(self) -> None:
        target, keys, values = self._target, self._keys, self._values
        if (
            len(target) == len(keys)
            and all(map(is_, target, keys))
            and all(map(is_, target.values(), values))
        ):
            return
        if type(target) is dict:
            target.clear()
            target.update(zip(keys, values, strict=True))
            return
        # A Counter's update() adds, and an OrderedDict keeps more than a dict does.
        plain: Any = collections.OrderedDict if isinstance(target, collections.OrderedDict) else dict
        plain.clear(target)
        for key, value in zip(keys, values, strict=True):
            plain.__setitem__(target, key, value)


class _ListNote:
    """Of a list, or of a deque."""

    __slots__ = ("_items", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._items = target, tuple(target)

    def restore(self) -> None:
        target, items = self._target, self._items
        if len(target) != len(items) or not all(map(is_, target, items)):
            target.clear()
            target.extend(items)


class _SetNote:
    __slots__ = ("_items", "_target")

    def __init__(self, target: set[Any]) -> None:
        self._target, self._items = target, frozenset(target)

    def restore(self) -> None:
        if self._target != self._items:
            self._target.clear()
            self._target.update(self._items)


class _BytesNote:
    __slots__ = ("_bytes", "_target")

    def __init__(self, target: bytearray) -> None:
        self._target, self._bytes = target, bytes(target)

    def restore(self) -> None:
        if self._target != self._bytes:
            self._target[:] = self._bytes


class _CellNote:
    __slots__ = ("_target", "_value")

    def __init__(self, target: types.CellType) -> None:
        self._target, self._value = target, _contents(target)

    def restore(self) -> None:
        if _contents(self._target) is self._value:
            return
        if self._value is _NOTHING:
            del self._target.cell_contents
        else:
            self._target.cell_contents = self._value


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _NOTHING


class _FunctionNote:
    __slots__ = ("_attributes", "_code", "_defaults", "_kwdefaults", "_target")

    def __init__(self, target: types.FunctionType) -> None:
        self._target, self._code, self._defaults = target, target.__code__, target.__defaults__
        self._kwdefaults, self._attributes = target.__kwdefaults__, _DictNote(vars(target))

    def restore(self) -> None:
        target = self._target
        self._attributes.restore()
        if target.__code__ is not self._code:
            target.__code__ = self._code
        if target.__defaults__ is not self._defaults:
            target.__defaults__ = self._defaults
        if target.__kwdefaults__ is not self._kwdefaults:
            target.__kwdefaults__ = self._kwdefaults


class _ClassNote:
    __slots__ = ("_attributes", "_target")

    def __init__(self, target: type) -> None:
        self._target, self._attributes = target, dict(vars(target))

    def restore(self) -> None:
        target, before = self._target, self._attributes
        now = vars(target)
        if len(now) == len(before) and all(map(is_, now.values(), before.values())):
            return
        for name in set(now) - set(before):
            type.__delattr__(target, name)
        for name, value in before.items():
            if now.get(name, _NOTHING) is not value:
                type.__setattr__(target, name, value)


class _InstanceNote:
    """Of what an instance is: its class, and which dict holds its attributes."""

    __slots__ = ("_attributes", "_kind", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._kind, self._attributes = target, type(target), _attributes_of(target)

    def restore(self) -> None:
        target = self._target
        if type(target) is not self._kind:
            object.__setattr__(target, "__class__", self._kind)
        if _attributes_of(target) is not self._attributes:
            object.__setattr__(target, "__dict__", self._attributes)


class _SlotsNote:
    __slots__ = ("_slots", "_target", "_values")

    def __init__(self, target: Any, slots: list[types.MemberDescriptorType]) -> None:
        self._target, self._slots = target, slots
        self._values = [_slot(slot, target) for slot in slots]

    def restore(self) -> None:
        target = self._target
        for slot, value in zip(self._slots, self._values, strict=True):
            if _slot(slot, target) is value:
                continue
            if value is _NOTHING:
                slot.__delete__(target)
            else:
                slot.__set__(target, value)


class _HeldNote:
    """Of all large arrays together: where they were written to, what was there comes back."""

    __slots__ = ("_pages",)

    def __init__(self, held: memoryview) -> None:
        self._pages = PrivatePages(held)

    def restore(self) -> None:
        self._pages.undo()


class _LayoutNote:
    """Of what the bytes of an array stand for. Where that was changed, the copy of the function is given up."""

    __slots__ = ("_layout", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._layout = target, _layout_of(target)

    def restore(self) -> None:
        if _layout_of(self._target) != self._layout:
            raise ValueError("it is another array now")


class _ArrayNote:
    __slots__ = ("_bytes", "_copy", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._copy, self._bytes = target, target.copy(), target.tobytes()

    def restore(self) -> None:
        if self._target.tobytes() != self._bytes:
            self._target[...] = self._copy


def _layout_of(array: Any) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.strides, array.flags.writeable
