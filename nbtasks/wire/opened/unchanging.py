"""What no call can change, and containers of nothing else."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import types
from collections.abc import Iterable
from typing import Any

#: Types of what cannot change.
FIXED: frozenset[type] = frozenset(
    {
        int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range, slice,
        types.CodeType, types.ModuleType, types.MethodDescriptorType,
        types.WrapperDescriptorType, types.MethodWrapperType, types.ClassMethodDescriptorType,
        types.GetSetDescriptorType, types.MemberDescriptorType, types.GenericAlias, types.UnionType,
        re.Pattern, types.DynamicClassAttribute,
    }
)  # fmt: skip
#: So are the instances of their subclasses.
FIXED_KINDS = (
    int, float, complex, str, bytes, dt.date, dt.time, dt.timedelta, dt.tzinfo,
    decimal.Decimal, type,
)  # fmt: skip
#: Containers that code can be seen to read: to subscript a defaultdict changes it.
NESTING: frozenset[type] = frozenset({dict, list, set, tuple})


def cannot_change(values: Iterable[Any]) -> bool:
    """Whether these are all fixed, or tuples of what is."""
    kinds = set(map(type, values))
    if kinds <= FIXED:
        return True
    # Rows, points and the like.
    return kinds <= FIXED | {tuple} and all(cannot_change(value) for value in values if type(value) is tuple)


def depth_of(value: Any, inner: set[int], most: int = 4) -> int | None:
    """Return how many containers that can change lie in each other; None where something else does, or too many do.

    Args:
        inner: gets the places in memory of those in it.
    """
    parts = [*value.keys(), *value.values()] if type(value) is dict else list(value)
    if cannot_change(parts):
        return 0 if type(value) is tuple else 1
    deepest = 0
    for part in parts:
        if type(part) in FIXED:
            continue
        depth = depth_of(part, inner, most - 1) if most and type(part) in NESTING else None
        if depth is None:
            return None
        inner.add(id(part))
        deepest = max(deepest, depth)
    return deepest + 1
