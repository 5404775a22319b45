"""Notes of what single things hold: which objects, by identity. What a call has changed is put back by them."""

from __future__ import annotations

import collections
import types
from operator import is_
from typing import Any, Protocol

from .instanceparts import NOTHING, attributes_of, slot_of


class Note(Protocol):
    """What one thing held."""

    def restore(self) -> None:
        """Put it back, where it has changed."""


class DictNote:
    """Of a dict and its likes: keys, values and their order."""

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


class ListNote:
    """Of a list, or of a deque."""

    __slots__ = ("_items", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._items = target, tuple(target)

    def restore(self) -> None:
        target, items = self._target, self._items
        if len(target) != len(items) or not all(map(is_, target, items)):
            target.clear()
            target.extend(items)


class SetNote:
    """Of a set."""

    __slots__ = ("_items", "_target")

    def __init__(self, target: set[Any]) -> None:
        self._target, self._items = target, frozenset(target)

    def restore(self) -> None:
        if self._target != self._items:
            self._target.clear()
            self._target.update(self._items)


class BytesNote:
    """Of a bytearray."""

    __slots__ = ("_bytes", "_target")

    def __init__(self, target: bytearray) -> None:
        self._target, self._bytes = target, bytes(target)

    def restore(self) -> None:
        if self._target != self._bytes:
            self._target[:] = self._bytes


class CellNote:
    """Of a variable of a closure."""

    __slots__ = ("_target", "_value")

    def __init__(self, target: types.CellType) -> None:
        self._target, self._value = target, contents_of(target)

    def restore(self) -> None:
        if contents_of(self._target) is self._value:
            return
        if self._value is NOTHING:
            del self._target.cell_contents
        else:
            self._target.cell_contents = self._value


def contents_of(cell: types.CellType) -> Any:
    """Return what a cell holds; NOTHING where it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return NOTHING


class FunctionNote:
    """Of a function: its code, defaults and attributes."""

    __slots__ = ("_attributes", "_code", "_defaults", "_kwdefaults", "_target")

    def __init__(self, target: types.FunctionType) -> None:
        self._target, self._code, self._defaults = target, target.__code__, target.__defaults__
        self._kwdefaults, self._attributes = target.__kwdefaults__, DictNote(vars(target))

    def restore(self) -> None:
        target = self._target
        self._attributes.restore()
        if target.__code__ is not self._code:
            target.__code__ = self._code
        if target.__defaults__ is not self._defaults:
            target.__defaults__ = self._defaults
        if target.__kwdefaults__ is not self._kwdefaults:
            target.__kwdefaults__ = self._kwdefaults


class ClassNote:
    """Of the attributes of a class."""

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
            if now.get(name, NOTHING) is not value:
                type.__setattr__(target, name, value)


class InstanceNote:
    """Of what an instance is: its class, and which dict holds its attributes."""

    __slots__ = ("_attributes", "_kind", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._kind, self._attributes = target, type(target), attributes_of(target)

    def restore(self) -> None:
        target = self._target
        if type(target) is not self._kind:
            object.__setattr__(target, "__class__", self._kind)
        if attributes_of(target) is not self._attributes:
            object.__setattr__(target, "__dict__", self._attributes)


class SlotsNote:
    """Of the slots of an instance."""

    __slots__ = ("_slots", "_target", "_values")

    def __init__(self, target: Any, slots: list[types.MemberDescriptorType]) -> None:
        self._target, self._slots = target, slots
        self._values = [slot_of(slot, target) for slot in slots]

    def restore(self) -> None:
        target = self._target
        for slot, value in zip(self._slots, self._values, strict=True):
            if slot_of(slot, target) is value:
                continue
            if value is NOTHING:
                slot.__delete__(target)
            else:
                slot.__set__(target, value)
