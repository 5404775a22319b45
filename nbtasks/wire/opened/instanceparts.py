"""What an instance consists of, and whether Python sees all of that."""

from __future__ import annotations

import sys
import types
from typing import Any

from nbtasks.wire.kinds.generators import is_hidden_global

#: A slot, or a cell, in which there is nothing.
NOTHING = object()


def is_ours(value: Any, kind: type) -> bool:
    """Whether it is part of this process, as its streams are."""
    if kind.__module__.partition(".")[0] in {"nbtasks", "typing"} or is_hidden_global(value):
        return True
    return any(value is stream for stream in (sys.stdout, sys.stderr, sys.stdin))


def is_plain(kind: type, slots: int) -> bool:
    """Whether instances keep nothing but attributes: what is written in C may have room of its own."""
    places = slots + bool(kind.__dictoffset__) + bool(kind.__weakrefoffset__)
    return not kind.__itemsize__ and kind.__basicsize__ <= object.__basicsize__ + 8 * places


def slots_of(kind: type) -> list[types.MemberDescriptorType]:
    """Return the slots that instances of a class have."""
    return [
        value
        for base in kind.__mro__
        for value in vars(base).values()
        if type(value) is types.MemberDescriptorType and value.__objclass__ is base
    ]


def slot_of(slot: types.MemberDescriptorType, value: Any) -> Any:
    """Return what lies in a slot of an instance; NOTHING where it is empty."""
    try:
        return slot.__get__(value)
    except AttributeError:
        return NOTHING


def attributes_of(value: Any) -> dict[str, Any] | None:
    """Return the dict of an instance; None where it has none, or one of a kind of its own."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None


def is_by_name(value: Any) -> bool:
    """Whether an instance is pickled as a name, so that all have the one of this process."""
    try:
        return isinstance(value.__reduce_ex__(4), str)
    except Exception:
        return False


def is_made_by_function(value: Any, kind: type) -> bool:
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
